#!/usr/bin/env bash
# Asks a PostgreSQL 15 for the answers to the cases of a file, and writes them into it.
#   usage: make-golden.sh [FILE]         FILE is golden.txt beside this script if it is not given
#
# A line is a comment (#) or `operation argument ... = answer`; what follows the first " = " is replaced. The
# operations are in make-golden.sql. Needs initdb, pg_ctl and psql; as root, it runs the server as an unprivileged
# user. Many random cases:  random-cases.awk 100000 1 > FILE; make-golden.sh FILE; GOLDEN=FILE cargo test ...
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
file=${1:-$here/golden.txt}
bin=/usr/lib/postgresql/15/bin
[ -x "$bin/initdb" ] || bin=$(dirname "$(command -v initdb)")

as_user=()
work=$(mktemp -d)
chmod 755 "$work"
if [ "$(id -u)" -eq 0 ]; then
    user=$(id -un postgres 2>/dev/null || id -un nobody)
    chown "$user" "$work"
    as_user=(setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups)
fi
cd "$work"
control() { "${as_user[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/log" "$@" >/dev/null; }
trap 'control -m immediate stop || true; rm -rf "$work"' EXIT

"${as_user[@]}" "$bin/initdb" -D "$work/data" -U relix -A trust -E UTF8 --no-sync >/dev/null
control -o "-k $work -c listen_addresses= -c fsync=off -c statement_timeout=0" start

grep -nv -e '^#' -e '^ *$' "$file" | sed 's/ = .*//; s/:/\t/' >cases
psql -X -q -v ON_ERROR_STOP=1 -h "$work" -U relix -d postgres -f "$here/make-golden.sql" >answers
awk -F '\t' 'NR == FNR { answer[$1] = $2; next }
    FNR in answer { sub(/ = .*/, ""); print $0 " = " answer[FNR]; next }
    { print }' answers "$file" >golden
cat golden >"$file"
