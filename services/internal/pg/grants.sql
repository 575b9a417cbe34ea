do $$
declare
	grantee constant text := current_setting('noteworks.grantee');
	item record;
begin
	-- Two services that start at once must not trip over each other's catalogue updates.
	perform pg_advisory_xact_lock(hashtext('noteworks.grants'));

	execute format('grant usage on schema public to %I', grantee);
	execute format('revoke create on schema public from %I', grantee);

	-- A partition is reached through its parent only: the parent's row-level security does not hold for a partition that
	-- is addressed by its own name. The table of applied migrations is the owner's; a service reads whether its own are among them.
	for item in
		select c.oid::regclass as name, c.relispartition or c.relname = 'goose_db_version' as closed, c.relname = 'goose_db_version' as legible
		from pg_class c
		where c.relnamespace = 'public'::regnamespace and c.relowner = current_user::regrole and c.relkind in ('r', 'p', 'v', 'm')
	loop
		if item.closed then
			execute format('revoke all on table %s from %I', item.name, grantee);
			if item.legible then
				execute format('grant select on table %s to %I', item.name, grantee);
			end if;
		else
			execute format('grant select, insert, update, delete on table %s to %I', item.name, grantee);
		end if;
	end loop;

	for item in
		select c.oid::regclass as name
		from pg_class c
		where c.relnamespace = 'public'::regnamespace and c.relowner = current_user::regrole and c.relkind = 'S'
	loop
		execute format('grant usage on sequence %s to %I', item.name, grantee);
	end loop;

	-- Functions of extensions belong to the superuser and are public already.
	for item in
		select p.oid::regprocedure as name
		from pg_proc p
		where p.pronamespace = 'public'::regnamespace and p.proowner = current_user::regrole
	loop
		execute format('revoke execute on routine %s from public', item.name);
		execute format('grant execute on routine %s to %I', item.name, grantee);
	end loop;
end
$$;
