-- +goose Up

-- Events, in the transactions of the facts they tell. Rows are only ever inserted; whole days go.
-- Inside a lane id order is commit order, because outbox_append takes the lane's lock before it draws an id.
create sequence outbox_id;

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
) partition by range (created_at);

create index outbox_by_lane on outbox (lane, id);

alter table outbox enable row level security;
alter table outbox force row level security;

create policy append_own on outbox for insert
	with check (workspace_id = nullif(current_setting('noteworks.workspace_id', true), '')::uuid);

-- Only the relay makes this setting, on a connection of its own. It reads all workspaces, so it is the one door in the wall.
create policy relay_reads on outbox for select using (current_setting('noteworks.relay', true) = 'on');
create policy rotation_deletes on outbox for delete using (current_setting('noteworks.relay', true) = 'on');

-- Rows of days for which nobody made a partition in time. Writers never fail for want of one.
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
-- outbox_rotate makes a partition for each of the days from today to `ahead` days on, and drops those that ended `keep` ago and of which each row is
-- published, that is, not after `published` (the relay's cursor, one id per lane, lane 0 first; null: drop nothing). Days are UTC.
-- It answers how many partitions it made and dropped. It never waits long for a lock: what it could not do it does the next time.
-- Only the relay may let it drop: others see no rows, and to them every partition would look published.
create function outbox_rotate(ahead int, keep interval, published bigint[], out made int, out dropped int)
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '200ms' as $$
declare
	day   timestamptz;
	name  text;
	part  record;
begin
	made := 0;
	dropped := 0;
	if published is not null and current_setting('noteworks.relay', true) is distinct from 'on' then
		raise insufficient_privilege using message = 'only the relay drops partitions';
	end if;
	if not pg_try_advisory_xact_lock(hashtext('noteworks.outbox_rotate')) then
		return; -- another replica is at it
	end if;
	for day in select generate_series(date_trunc('day', now()), date_trunc('day', now()) + make_interval(days => ahead), interval '1 day') loop
		name := 'outbox_' || to_char(day, 'YYYYMMDD');
		continue when to_regclass(name) is not null
			or exists (select from outbox where created_at >= day and created_at < day + interval '1 day');
		begin
			-- Attached, not created in place: that would lock all writers out behind the longest transaction.
			execute format('create table %I (like outbox including defaults)', name);
			execute format('alter table %I enable row level security', name);
			execute format('alter table %I force row level security', name);
			execute format('alter table outbox attach partition %I for values from (%L) to (%L)', name, day, day + interval '1 day');
			made := made + 1;
		exception when lock_not_available or check_violation then
			null; -- check_violation: the default partition has rows of that day
		end;
	end loop;
	if published is null then
		return;
	end if;
	for part in
		select c.oid::regclass as name, to_timestamp(substring(c.relname from 'outbox_(\d{8})$'), 'YYYYMMDD') as day
		from pg_inherits i join pg_class c on c.oid = i.inhrelid
		where i.inhparent = 'outbox'::regclass and c.relname ~ '^outbox_\d{8}$'
	loop
		continue when part.day + interval '1 day' > now() - keep;
		continue when exists (select from outbox where created_at >= part.day and created_at < part.day + interval '1 day' and id > published[lane + 1]);
		begin
			execute format('drop table %s', part.name);
			dropped := dropped + 1;
		exception when lock_not_available then
			null;
		end;
	end loop;
	delete from outbox where created_at < now() - keep and id <= published[lane + 1] and tableoid = 'outbox_default'::regclass;
end
$$;
-- +goose StatementEnd

select outbox_rotate(3, interval '7 days', null);

-- +goose Down
drop function outbox_rotate;
drop function outbox_append;
drop table outbox;
drop sequence outbox_id;
