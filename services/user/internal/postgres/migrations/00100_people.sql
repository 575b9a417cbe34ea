-- +goose Up

create table workspaces (
	id uuid primary key,
	title text not null,
	version integer not null,
	created_at timestamptz not null
);
alter table workspaces enable row level security;
alter table workspaces force row level security;
create policy tenant on workspaces
	using (id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- Which workspace a host leads to: looked up before there is a workspace to work for, so everybody may read it, and nothing but that is in it.
-- Only a workspace itself may take, change or free its slug.
create table slugs (
	slug text primary key,
	workspace_id uuid not null unique references workspaces (id) on delete cascade
);
alter table slugs enable row level security;
alter table slugs force row level security;
create policy everybody_reads on slugs for select using (true);
create policy tenant on slugs
	using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

create table people (
	workspace_id uuid not null references workspaces (id) on delete cascade,
	id uuid not null,
	email text not null,
	name text not null,
	-- The name in lower case, by the rules of the service and in byte order, so that pages do not depend on the server's locale.
	sort_name text collate "C" not null,
	role text not null check (role in ('owner', 'member')),
	active boolean not null default true,
	password_hash text not null,
	version integer not null,
	created_at timestamptz not null,
	primary key (workspace_id, id),
	constraint people_email unique (workspace_id, email)
);
create unique index people_owner on people (workspace_id) where role = 'owner';
create index people_by_name on people (workspace_id, sort_name, id);
alter table people enable row level security;
alter table people force row level security;
create policy tenant on people
	using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

create table sessions (
	workspace_id uuid not null,
	id uuid not null,
	person_id uuid not null,
	secret bytea not null,
	generation bigint not null,
	token_hash bytea not null,
	recent jsonb not null,
	created_at timestamptz not null,
	expires_at timestamptz not null,
	primary key (workspace_id, id),
	foreign key (workspace_id, person_id) references people (workspace_id, id) on delete cascade
);
create index sessions_of_person on sessions (workspace_id, person_id, created_at);
alter table sessions enable row level security;
alter table sessions force row level security;
create policy tenant on sessions
	using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- The service's own, of no workspace.
create table signing_keys (
	id text primary key,
	seed bytea not null,
	created_at timestamptz not null,
	signs_from timestamptz not null
);

-- +goose Down
drop table signing_keys, sessions, people, slugs, workspaces;
