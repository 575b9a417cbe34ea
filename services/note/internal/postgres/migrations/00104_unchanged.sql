-- +goose Up

-- note_unchanged locks notes that are as somebody remembers them, by what wrote the row of each and the row of its viewer, and fails with NW001 if one of
-- them is not any more, or is locked by somebody else. It answers the transaction's own number, which is what the notes will be known by after it.
-- +goose StatementBegin
create function note_unchanged(ids uuid[], people uuid[], note_marks xid[], access_marks xid[]) returns xid
language plpgsql as $$
declare
	found int;
begin
	select count(*) into found from (
		select from unnest(ids, people, note_marks, access_marks) as i (id, person, note_mark, access_mark)
			join notes n on n.id = i.id and n.xmin = i.note_mark
			join note_access a on a.workspace_id = n.workspace_id and a.note_id = n.id and a.person_id = i.person and a.xmin = i.access_mark
		for update of n skip locked
	) as same;
	if found <> cardinality(ids) then
		raise exception 'a note is not as it was' using errcode = 'NW001';
	end if;
	return pg_current_xact_id()::xid;
end
$$;
-- +goose StatementEnd

-- +goose Down
drop function note_unchanged;
