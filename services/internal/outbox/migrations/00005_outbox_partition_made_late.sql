-- +goose Up

-- +goose StatementBegin
-- outbox_add_partition makes the n-th partition if it can, and tells whether it did.
create or replace function outbox_add_partition(n bigint, width bigint) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare
	name constant text := 'outbox_' || n;
begin
	if to_regclass(name) is not null then
		return false;
	end if;
	-- It is late: writers send rows of its range to the default partition. One whose row is on its way there would be refused when the row arrives after the attachment,
	-- so they pause for it. Who holds them up for longer than lock_timeout makes it come later still.
	if n = (select last_value / width from outbox_id) then
		lock table outbox in share mode;
	end if;
	-- Attached, not created in place: that would lock all writers out behind the longest transaction.
	execute format('create table %I (like outbox including defaults)', name);
	execute format('alter table %I enable row level security', name);
	execute format('alter table %I force row level security', name);
	execute format('alter table outbox attach partition %I for values from (%L) to (%L)', name, n * width, (n + 1) * width);
	return true;
exception when lock_not_available or check_violation then
	return false; -- check_violation: rows of that range are in the default partition already
end
$$;
-- +goose StatementEnd

-- +goose Down

-- +goose StatementBegin
create or replace function outbox_add_partition(n bigint, width bigint) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare
	name constant text := 'outbox_' || n;
begin
	if to_regclass(name) is not null then
		return false;
	end if;
	execute format('create table %I (like outbox including defaults)', name);
	execute format('alter table %I enable row level security', name);
	execute format('alter table %I force row level security', name);
	execute format('alter table outbox attach partition %I for values from (%L) to (%L)', name, n * width, (n + 1) * width);
	return true;
exception when lock_not_available or check_violation then
	return false;
end
$$;
-- +goose StatementEnd
