-- +goose Up

-- Workspaces of which nothing is to be left but their last event, from when this is committed until it is sure to have been done.
create table outbox_forgotten (
	id           bigint      primary key, -- where the last event stands
	lane         smallint    not null,
	workspace_id uuid        not null,
	type         text        not null,    -- of the last event
	due_at       timestamptz not null default clock_timestamp(),
	done_at      timestamptz              -- the first time
);

alter table outbox_forgotten enable row level security;
alter table outbox_forgotten force row level security;

create policy ask_own on outbox_forgotten for insert
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);
create policy relay_does on outbox_forgotten using (current_setting('noteworks.relay', true) = 'on');

-- To find a workspace's rows among those of a week. Like all of the outbox they may be deleted by the relay only: the policy is rotation_deletes.
create index outbox_by_workspace on outbox (workspace_id, id);

-- +goose Down
drop index outbox_by_workspace;
drop table outbox_forgotten;
