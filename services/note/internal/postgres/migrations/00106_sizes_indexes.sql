-- +goose Up

-- The times of the notes that were indexed before 00105, workspace by workspace, as 00103 counts.
-- +goose StatementBegin
do $$
declare
	workspace uuid;
begin
	perform set_config('noteworks.sweep', 'on', true);
	for workspace in select w.workspace_id from workspaces w where not w.deleted loop
		perform set_config('noteworks.workspace_id', workspace::text, true);
		update note_search s set at = n.updated_at from notes n where n.workspace_id = s.workspace_id and n.id = s.note_id;
	end loop;
	perform set_config('noteworks.workspace_id', '', true);
	perform set_config('noteworks.sweep', '', true);
end
$$;
-- +goose StatementEnd

create index note_search_by_time on note_search (workspace_id, at desc, note_id desc);

create index note_search_by_title on note_search (workspace_id, left(title, 100) text_pattern_ops);

-- What others share with somebody who owns much: without it, all that they own is read to find that.
create index note_access_shared on note_access (workspace_id, person_id, note_id) where role < 4;

-- +goose Down
drop index note_access_shared;
drop index note_search_by_title;
drop index note_search_by_time;
