-- +goose Up

-- What a workspace allows, as its events tell it (workspace.v1.Policy); whose it is, and since when nobody's. Those that are there are open, without
-- limits, and nobody's: no other id can take them up until they have been applied with an administrator.
alter table workspaces
	add column policy jsonb not null default '{}',
	add column administrator text not null default '',
	add column released_at timestamptz;

-- claim is the id by which its administrator knows a workspace that was adopted; without one that is its own. host is one more way to it.
alter table slugs
	add column claim uuid,
	add column host text constraint slugs_host unique;
create unique index slugs_claim on slugs (coalesce(claim, workspace_id));

-- Open invitations, one for an address. The code itself is only with whoever it was given to.
create table invitations (
	workspace_id uuid not null references workspaces (id) on delete cascade,
	id uuid not null,
	email text not null,
	code_hash bytea not null,
	created_at timestamptz not null,
	expires_at timestamptz not null,
	primary key (workspace_id, id),
	constraint invitations_email unique (workspace_id, email)
);
alter table invitations enable row level security;
alter table invitations force row level security;
create policy tenant on invitations
	using (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid)
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- +goose Down
drop table invitations;
alter table slugs drop column claim, drop column host;
alter table workspaces drop column policy, drop column administrator, drop column released_at;
