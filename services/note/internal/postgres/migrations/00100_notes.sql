-- +goose Up

create table notes (
	workspace_id   uuid        not null,
	id             uuid        not null,
	owner_id       uuid        not null,
	title          text        not null,
	body           text        not null,
	tags           jsonb       not null, -- as written and in that order; note_tags is for finding them
	version        int         not null,
	created_at     timestamptz not null,
	updated_at     timestamptz not null, -- of this version
	updated_by     uuid        not null,
	trashed_at     timestamptz,
	-- Grows with each change of who sees the note. A writer that waited for the row learns from it that the roles it read are old.
	access_version int         not null default 0,
	primary key (workspace_id, id)
);

-- The two ends from which a list can be read: by time where one sees much of the workspace, by person (below) where one sees little.
create index notes_by_time on notes (workspace_id, updated_at desc, id desc) where trashed_at is null;
create index notes_in_trash on notes (workspace_id, owner_id, updated_at desc, id desc) where trashed_at is not null;
create index notes_by_trash_time on notes (workspace_id, trashed_at) where trashed_at is not null;

-- Who sees which note, the owner included, and what they noted for themselves. Roles are note.Role: 1 viewer to 4 owner.
create table note_access (
	workspace_id uuid        not null,
	note_id      uuid        not null,
	person_id    uuid        not null,
	role         smallint    not null check (role between 1 and 4),
	granted_by   uuid        not null,
	granted_at   timestamptz not null,
	pinned       boolean     not null default false,
	archived     boolean     not null default false,
	seen_at      timestamptz not null, -- when this row last changed what the person sees
	primary key (workspace_id, note_id, person_id)
);

create index note_access_by_person on note_access (workspace_id, person_id, note_id) include (role, pinned, archived);
create index note_access_pinned on note_access (workspace_id, person_id) where pinned;
create index note_access_archived on note_access (workspace_id, person_id) where archived;
create unique index note_access_one_owner on note_access (workspace_id, note_id) where role = 4;

-- A note as it was at each version, the present one included.
create table note_revisions (
	workspace_id uuid        not null,
	note_id      uuid        not null,
	version      int         not null,
	title        text        not null,
	body         text        not null,
	tags         jsonb       not null,
	author_id    uuid        not null,
	created_at   timestamptz not null,
	primary key (workspace_id, note_id, version)
);

create index note_revisions_by_time on note_revisions (workspace_id, created_at);

-- tag_key is what counts as the same tag (note.TagKey), tag is how this note spells it.
create table note_tags (
	workspace_id uuid not null,
	note_id      uuid not null,
	tag_key      text not null,
	tag          text not null,
	primary key (workspace_id, note_id, tag_key)
);

create index note_tags_by_key on note_tags (workspace_id, tag_key, note_id);

create table idempotency_keys (
	workspace_id uuid        not null,
	person_id    uuid        not null,
	key          text        not null,
	request_hash bytea       not null,
	note_id      uuid        not null,
	created_at   timestamptz not null,
	primary key (workspace_id, person_id, key)
);

create index idempotency_keys_by_time on idempotency_keys (workspace_id, created_at);

-- Copies of what the user service says. No foreign key leads to them: its events may come late. Each part carries the version it is from.
create table people (
	workspace_id   uuid    not null,
	id             uuid    not null,
	name           text    not null default '',
	name_version   int     not null default 0,
	active         boolean not null default true,
	active_version int     not null default 0,
	deleted        boolean not null default false,
	primary key (workspace_id, id)
);

create table workspaces (
	workspace_id uuid    not null primary key,
	slug         text    not null,
	title        text    not null,
	version      int     not null,
	deleted      boolean not null default false -- a tombstone: what arrives late for it is not kept
);

-- Work that an event asks for and that is too much for its transaction: done in batches by whoever gets to it.
create table chores (
	workspace_id uuid        not null,
	id           uuid        not null,
	kind         text        not null check (kind in ('hand-over', 'delete-workspace')),
	person_id    uuid,
	successor_id uuid,
	created_at   timestamptz not null,
	primary key (workspace_id, id)
);

create index chores_by_time on chores (created_at);

-- +goose StatementBegin
do $$
declare
	name text;
begin
	foreach name in array array['notes', 'note_access', 'note_revisions', 'note_tags', 'idempotency_keys', 'people', 'workspaces', 'chores'] loop
		execute format('alter table %I enable row level security', name);
		execute format('alter table %I force row level security', name);
		execute format($policy$create policy own_workspace on %I
			using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
			with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)$policy$, name);
	end loop;
end
$$;
-- +goose StatementEnd

-- Housekeeping has to know which workspaces there are and which wait for it. It reads ids, and then works inside each like everybody else.
create policy sweep_finds on workspaces for select using (current_setting('noteworks.sweep', true) = 'on');
create policy sweep_finds on chores for select using (current_setting('noteworks.sweep', true) = 'on');

-- +goose Down
drop table chores;
drop table workspaces;
drop table people;
drop table idempotency_keys;
drop table note_tags;
drop table note_revisions;
drop table note_access;
drop table notes;
