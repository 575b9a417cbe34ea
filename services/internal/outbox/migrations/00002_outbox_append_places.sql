-- +goose Up

-- Forced row-level security holds the owner, too, as whom outbox_newest runs.
create policy owner_reads on outbox for select to current_user using (true);

-- outbox_newest is the last place taken in a lane, or -1 when that was not lately. Ask it while holding the lane's lock: then no transaction under way can take another.
-- Writers may not read the outbox; of it this tells them nothing but a number. It costs the same
-- however many rows there are, also in a session that made its plan when there were none: by index, and among the newest ids only.
-- +goose StatementBegin
create function outbox_newest(wanted smallint) returns bigint
language plpgsql security definer set search_path = public, pg_temp set enable_seqscan = off as $$
declare
	lately constant bigint := (select last_value from outbox_id) - 400;
begin
	return coalesce((select id from outbox where lane = wanted and id > lately order by id desc limit 1), -1);
end
$$;
-- +goose StatementEnd

drop function outbox_append;

-- +goose StatementBegin
-- outbox_append adds rows of equally long arrays, in order, to the lanes given for each, and answers for each where it stands and where the one before it in its
-- lane does: a relay that has published that one can publish this one without looking. It runs with the caller's rights.
-- class is the first half of the lanes' advisory locks.
create function outbox_append(class int, lanes smallint[], event_ids uuid[], workspace_ids uuid[], types text[], keys text[],
	occurred_ats timestamptz[], audiences text[], traceparents text[], tracestates text[], datas text[]) returns table (place bigint, before bigint)
language plpgsql as $$
declare
	held   smallint;
	newest bigint[];
	places bigint[];
begin
	-- A statement for each lock, in ascending order: two writers of the same lanes do not deadlock.
	for held in select distinct l from unnest(lanes) as l order by l loop
		perform pg_advisory_xact_lock(class, held);
		newest[held] := outbox_newest(held);
	end loop;
	foreach held in array lanes loop
		before := newest[held];
		place := nextval('outbox_id');
		newest[held] := place;
		places := places || place;
		return next;
	end loop;
	insert into outbox (id, lane, event_id, workspace_id, type, key, occurred_at, audience, traceparent, tracestate, data)
	select * from unnest(places, lanes, event_ids, workspace_ids, types, keys, occurred_ats, audiences, traceparents, tracestates, datas);
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function outbox_append;
drop function outbox_newest;
drop policy owner_reads on outbox;
