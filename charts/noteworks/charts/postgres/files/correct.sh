# Before the server starts on data that is there already: its roles as they should be now. Nobody but this script can connect meanwhile.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  exit 0
fi
pg_ctl --pgdata "$PGDATA" --options "-c listen_addresses= -c unix_socket_directories=/var/run/postgresql" --log /dev/stderr --wait --timeout 3600 start
. /docker-entrypoint-initdb.d/roles.sh
pg_ctl --pgdata "$PGDATA" --mode fast --wait stop
