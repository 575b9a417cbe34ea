-- What it takes to search a workspace of a million notes as fast as a small one.

-- +goose Up

-- When the note that was indexed was changed: the newest are looked through first. The next migration sets it for those that are there, and has the
-- indexes: this one locks the table, and must be short.
alter table note_search add column at timestamptz not null default now();

-- note_search_found is note_search_hits (00101) with the times. Those of the version before still ask that one while they are replaced.
-- +goose StatementBegin
create function note_search_found(terms tsquery, title_like text) returns table (note_id uuid, at timestamptz)
language sql stable security definer set search_path = public, pg_temp
begin atomic
	select s.note_id, s.at from note_search s
	where s.workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid and s.doc @@ terms
	union
	select s.note_id, s.at from note_search s
	where s.workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid and s.title like title_like;
end;
-- +goose StatementEnd

-- The first 50 notes, in alphabetical order, whose titles have this beginning: one that is called so is the first. A range, since the plan that is
-- kept for a function knows no pattern.
-- +goose StatementBegin
create function note_search_titled(beginning text) returns table (note_id uuid)
language sql stable security definer set search_path = public, pg_temp
begin atomic
	select s.note_id from note_search s
	where s.workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid
		and left(s.title, 100) operator(pg_catalog.~>=~) beginning and left(s.title, 100) operator(pg_catalog.~<~) (beginning || U&'\+10FFFF')
	order by left(s.title, 100) using operator(pg_catalog.~<~) limit 50;
end;
-- +goose StatementEnd

-- +goose Down
drop function note_search_titled;
drop function note_search_found;
alter table note_search drop column at;
