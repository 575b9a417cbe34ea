-- +goose Up

-- Events, in the transactions of the facts they tell. Rows are only ever inserted; whole days go.
-- Inside a lane id order is commit order, because outbox_append takes the lane's lock before it draws an id.
--
-- A partition is about a day, and has ten thousand million ids for itself: the day is cut by moving the sequence on to the next partition's first id.
-- So what the relay asks, `lane = ... and id > ...`, touches only the partitions it has not done with. (Partitioned by time instead, each
-- look asked all of them: 0.8 ms in place of 0.1.)
create sequence outbox_id; -- from 1: a cursor of 0 is before all

create table outbox (
	id           bigint      not null default nextval('outbox_id'),
	lane         smallint    not null,
	created_at   timestamptz not null default clock_timestamp(),
	event_id     uuid        not null,
	workspace_id uuid        not null,
	type         text        not null,
	key          text        not null,
	occurred_at  timestamptz not null,
	audience     text        not null,
	traceparent  text        not null,
	tracestate   text        not null,
	data         text        not null
) partition by range (id);

create index outbox_by_lane on outbox (lane, id);

alter table outbox enable row level security;
alter table outbox force row level security;

create policy append_own on outbox for insert
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- Only the relay makes this setting, on a connection of its own. It reads all workspaces, so it is the one door in the wall.
create policy relay_reads on outbox for select using (current_setting('noteworks.relay', true) = 'on');
create policy rotation_deletes on outbox for delete using (current_setting('noteworks.relay', true) = 'on');

-- Rows for which nobody made a partition in time. Writers never fail for want of one.
create table outbox_default partition of outbox default;
alter table outbox_default enable row level security;
alter table outbox_default force row level security;

-- +goose StatementBegin
-- outbox_append adds rows of equally long arrays, in order, to the lanes given for each. It runs with the caller's rights.
-- class is the first half of the lanes' advisory locks.
create function outbox_append(class int, lanes smallint[], event_ids uuid[], workspace_ids uuid[], types text[], keys text[],
	occurred_ats timestamptz[], audiences text[], traceparents text[], tracestates text[], datas text[]) returns void
language plpgsql as $$
declare
	held smallint;
begin
	-- A statement for each lock, in ascending order: two writers of the same lanes do not deadlock.
	for held in select distinct l from unnest(lanes) as l order by l loop
		perform pg_advisory_xact_lock(class, held);
	end loop;
	insert into outbox (lane, event_id, workspace_id, type, key, occurred_at, audience, traceparent, tracestate, data)
	select * from unnest(lanes, event_ids, workspace_ids, types, keys, occurred_ats, audiences, traceparents, tracestates, datas);
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- outbox_rotate makes the partition of the ids being drawn and the one after it, goes on to the next when the present one is a day old, and drops those of which
-- the newest row is `keep` old and all are published, that is, not after `published` (the relay's cursor, one id per lane, lane 0
-- first; null: drop nothing). It answers how many it made and dropped. It never waits long for a lock: what it could not do it does the next time.
-- Only the relay may let it drop: others see no rows, and to them every partition would look published.
create function outbox_rotate(keep interval, published bigint[], out made int, out dropped int)
language plpgsql security definer set search_path = public, pg_temp set lock_timeout = '200ms' as $$
declare
	width   constant bigint := 10000000000;
	present bigint;
	part    record;
begin
	made := 0;
	dropped := 0;
	if published is not null and current_setting('noteworks.relay', true) is distinct from 'on' then
		raise insufficient_privilege using message = 'only the relay drops partitions';
	end if;
	if not pg_try_advisory_xact_lock(hashtext('noteworks.outbox_rotate')) then
		return; -- another replica is at it
	end if;
	select last_value / width into present from outbox_id;
	for n in present .. present + 1 loop
		if outbox_add_partition(n, width) then
			made := made + 1;
		end if;
	end loop;
	if published is null then
		return;
	end if;
	-- Only on to a partition that was committed before: sequences know no transaction, and writers must find it at once.
	if made = 0 and to_regclass('outbox_' || present + 1) is not null and exists (
		select from generate_series(0, cardinality(published) - 1) l, lateral (
			select created_at from outbox where lane = l and id >= present * width and id < (present + 1) * width order by id limit 1) oldest
		where oldest.created_at < now() - interval '1 day')
	then
		perform setval('outbox_id', (present + 1) * width, false); -- forward, so ids of a lane still rise
	end if;
	for part in
		select c.oid::regclass as name, substring(c.relname from '\d+$')::bigint as n
		from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_\d+$'
	loop
		continue when part.n >= present;
		continue when exists (
			select from generate_series(0, cardinality(published) - 1) l, lateral (
				select id, created_at from outbox where lane = l and id >= part.n * width and id < (part.n + 1) * width order by id desc limit 1) newest
			where newest.id > published[l + 1] or newest.created_at > now() - keep);
		begin
			execute format('drop table %s', part.name);
			dropped := dropped + 1;
		exception when lock_not_available then
			null;
		end;
	end loop;
	delete from outbox where tableoid = 'outbox_default'::regclass and created_at < now() - keep and id <= published[lane + 1];
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- outbox_go_on_behind makes new ids greater than those that were published, if they are not: this database was restored from a copy older than
-- the stream, and readers would take its events for old ones.
create function outbox_go_on_behind(published bigint[]) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
declare
	newest constant bigint := (select max(id) from unnest(published) as id);
begin
	if current_setting('noteworks.relay', true) is distinct from 'on' then
		raise insufficient_privilege using message = 'only the relay moves ids on';
	end if;
	if newest > (select last_value from outbox_id) then
		perform setval('outbox_id', newest);
	end if;
end
$$;
-- +goose StatementEnd

-- +goose StatementBegin
-- outbox_add_partition makes the n-th partition if it can, and tells whether it did.
create function outbox_add_partition(n bigint, width bigint) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare
	name constant text := 'outbox_' || n;
begin
	if to_regclass(name) is not null then
		return false;
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

select outbox_rotate(interval '7 days', null);

-- +goose Down
drop function outbox_rotate;
drop function outbox_add_partition;
drop function outbox_go_on_behind;
drop function outbox_append;
drop table outbox;
drop sequence outbox_id;
