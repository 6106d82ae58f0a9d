#!/bin/sh
# Asks a PostgreSQL 15 for the answers to expressions, one a line: make-golden.sh < expressions > golden.txt
#
# A line `timezone = NAME` sets the session's zone, and answers may stand behind ` => ` already: golden.txt itself can be
# the input. The server is one of its own, in a directory that is removed, run by an unprivileged user.
set -eu

bin=$(dirname "$(readlink -f "$(command -v postgres)")")
dir=$(mktemp -d)
port=${PORT:-54799}
user=
if [ "$(id -u)" = 0 ]; then
    user="setpriv --reuid nobody --regid nogroup --clear-groups"
    if id postgres >/dev/null 2>&1; then user="setpriv --reuid postgres --regid postgres --clear-groups"; fi
    chown "$(echo "$user" | cut -d' ' -f3)" "$dir"
fi
finish() {
    cd "$dir" && $user "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$dir"
}
trap finish EXIT
cat > "$dir/expressions"
(
    cd "$dir"
    $user "$bin/initdb" -D data -U relix -A trust -E UTF8 --locale=C >/dev/null
    $user "$bin/pg_ctl" -D data -w -l data/log -o \
        "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start >/dev/null
)

# Every line becomes a statement that answers the line with its answer.
{
    cat <<'SQL'
SET client_min_messages = error;
CREATE FUNCTION answer(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN coalesce(result, 'NULL');
EXCEPTION WHEN OTHERS THEN
    RETURN 'ERROR ' || sqlstate || ' ' || sqlerrm;
END $$;
SQL
    awk '
        /^#/ || /^$/ { printf "\\echo %s\n", ($0 == "" ? "" : "\x27" $0 "\x27"); next }
        /^timezone = / {
            zone = substr($0, 12)
            printf "SET timezone = \x27%s\x27;\n\\echo \x27%s\x27\n", zone, $0
            next
        }
        {
            sub(/ => .*$/, "")
            printf "SELECT $q$%s$q$ || \x27 => \x27 || answer($q$%s$q$);\n", $0, $0
        }
    ' "$dir/expressions"
} | psql -h 127.0.0.1 -p "$port" -U relix -qAt -v ON_ERROR_STOP=1 -f - postgres
