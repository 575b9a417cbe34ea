-- +goose Up

-- What a workspace allows, as the user service says. 0 is no limit, and the service's own retention.
alter table workspaces
	add column limit_notes   int    not null default 0,
	add column limit_bytes   bigint not null default 0,
	add column trash_days    int    not null default 0,
	add column revision_days int    not null default 0;

-- +goose Down
alter table workspaces
	drop column limit_notes,
	drop column limit_bytes,
	drop column trash_days,
	drop column revision_days;
