-- +goose Up
create extension if not exists pg_trgm;
create extension if not exists btree_gin;

-- What can be searched, fed from the service's own events. It says nothing about access: whoever reads it joins note_access.
create table note_search (
	workspace_id uuid     not null,
	note_id      uuid     not null,
	version      int      not null, -- of the note that was indexed
	title        text     not null, -- folded
	doc          tsvector not null,
	primary key (workspace_id, note_id)
);

-- A search reads what waits to be merged into an index from end to end, so not much may wait (512 kB, not 4 MB).
create index note_search_doc on note_search using gin (workspace_id, doc) with (gin_pending_list_limit = 512);
create index note_search_title on note_search using gin (workspace_id, title gin_trgm_ops) with (gin_pending_list_limit = 512);

alter table note_search enable row level security;
alter table note_search force row level security;
create policy own_workspace on note_search
	using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- Under row-level security PostgreSQL uses an index only for operators that are known not to leak, and those of text search and LIKE are not. So
-- the owner, and nobody else, may find ids here, by a function that names the workspace itself. It gives away nothing but ids;
-- everything about a note is read from tables whose policies hold for the caller.
create policy finds_ids on note_search for select to current_user using (true);

-- +goose StatementBegin
create function note_search_hits(terms tsquery, title_like text) returns uuid[]
language sql stable security definer set search_path = public, pg_temp
begin atomic
	select coalesce(array_agg(hits.note_id), '{}') from (
		select s.note_id from note_search s
		where s.workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid and s.doc @@ terms
		union
		select s.note_id from note_search s
		where s.workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid and s.title like title_like
	) hits;
end;
-- +goose StatementEnd

-- +goose Down
drop function note_search_hits;
drop table note_search;
