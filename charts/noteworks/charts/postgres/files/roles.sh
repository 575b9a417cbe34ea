# Makes two roles and a database for each service, or corrects them: passwords, ownership, and who may connect. Run again, it changes nothing.
# Both roles may sign in and nothing else: the one that serves owns nothing, so that no row escapes row-level security.
set -eu
for service in user note; do
  psql --no-psqlrc --quiet --host /var/run/postgresql --username postgres --dbname postgres --set ON_ERROR_STOP=1 \
    --set database="${service}s" --set owner="${service}_owner" --set app="${service}_app" \
    --set owner_password="$(cat "/etc/noteworks/$service/owner-password")" --set app_password="$(cat "/etc/noteworks/$service/password")" <<'SQL'
select format('create role %I', name) from unnest(array[:'owner', :'app']) name
where not exists (select from pg_roles where rolname = name) \gexec
alter role :"owner" with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'owner_password';
alter role :"app" with login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password :'app_password';
select format('create database %I owner %I', :'database', :'owner')
where not exists (select from pg_database where datname = :'database') \gexec
revoke all on database :"database" from public;
grant connect on database :"database" to :"app";
SQL
done
