-- +goose Up

-- What a workspace holds, counted with each change, in its transaction: the sum over the shards says it, one shard says nothing and may be
-- negative. A note counts in the shard of its lane in the outbox, where its writers wait for each other anyway.
-- Always locked after notes and before lanes, and never more than one of the rows that are there, so that nobody deadlocks over it.
create table note_usage (
	workspace_id uuid     not null,
	shard        smallint not null,
	notes        int      not null, -- not in the trash
	bytes        bigint   not null, -- of all bodies, the trash included
	primary key (workspace_id, shard)
) with (fillfactor = 70); -- a row is rewritten with each change: in its page, if there is room

alter table note_usage enable row level security;
alter table note_usage force row level security;
create policy own_workspace on note_usage
	using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- Counts what is there, workspace by workspace, through the doors that everybody else uses: to open the tables to their owner would take locks that
-- stop those who are serving. What those write meanwhile, and for as long as they do not count yet, is put right by the sweeper, and so
-- are notes of workspaces that are not known yet.
-- +goose StatementBegin
do $$
declare
	workspace uuid;
begin
	perform set_config('noteworks.sweep', 'on', true);
	for workspace in select w.workspace_id from workspaces w where not w.deleted loop
		perform set_config('noteworks.workspace_id', workspace::text, true);
		insert into note_usage (workspace_id, shard, notes, bytes)
		select workspace, s, 0, 0 from generate_series(1, 3) s
		union all
		select workspace, 0, count(*) filter (where n.trashed_at is null), coalesce(sum(octet_length(n.body)), 0) from notes n;
	end loop;
	perform set_config('noteworks.workspace_id', '', true);
	perform set_config('noteworks.sweep', '', true);
end
$$;
-- +goose StatementEnd

-- note_room answers how many notes and bytes more the workspace takes, null for any number. Where notes are limited it takes the workspace's turn
-- first, a lock that is held to the end of the transaction: two who ask do not get the same last place. Each of its statements sees what
-- was committed when it began, that is, all that those did who had the turn before. It runs with the caller's rights.
-- class is the first half of the turns' advisory locks.
-- +goose StatementBegin
create function note_room(class int) returns bigint[]
language plpgsql as $$
declare
	workspace constant uuid := nullif(current_setting('noteworks.workspace_id', true), '')::uuid;
	max_notes bigint;
	max_bytes bigint;
	room      bigint[] := '{null, null}';
begin
	select nullif(w.limit_notes, 0), nullif(w.limit_bytes, 0) into max_notes, max_bytes from workspaces w where w.workspace_id = workspace;
	if max_notes is not null then
		perform pg_advisory_xact_lock(class, hashtext(workspace::text));
	end if;
	if max_notes is not null or max_bytes is not null then
		select array[max_notes - coalesce(sum(u.notes), 0), max_bytes - coalesce(sum(u.bytes), 0)]::bigint[] into room
		from note_usage u where u.workspace_id = workspace;
	end if;
	return room;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function note_room;
drop table note_usage;
