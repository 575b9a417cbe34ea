-- +goose Up

-- What took effect: an event is handled in the transaction that writes its row here. No tenant's data: ids of events, and why some were given up.
create table inbox (
	consumer     text        not null,
	event_id     uuid        not null,
	processed_at timestamptz not null default clock_timestamp(),
	parked       text,       -- the reason, while it lies in the dead-letter stream
	primary key (consumer, event_id)
);

-- Rows come in order of time, so a few pages of index are enough to find the old ones.
create index inbox_by_age on inbox using brin (processed_at) with (pages_per_range = 16, autosummarize = on);

-- The newest message of each consumer that took effect or was given up: see event.Mark.
create table inbox_mark (
	consumer text   primary key,
	seq      bigint not null,
	event_id text   not null,
	cursor   text   not null
) with (fillfactor = 50);

-- +goose Down
drop table inbox_mark;
drop table inbox;
