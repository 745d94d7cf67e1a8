# What a server runs for each part of its log, in its data directory:
#   push.sh PROGRAM CONFIGURATION STANZA FOLDER PART
# Yields 0 once the part is in the repository, or let go since too much waits, and 1 otherwise. It ends soon,
# whatever the repository does: a server that is to end waits for it.
program=$1 configuration=$2 stanza=$3 folder=$4 part=$5
name=${part##*/}
hung=$folder/archive-hung

complain() {
    echo "ERROR: [hanse]: $1" >&2
    exit 1
}

# Before anything that could hang. What is let go is noted first.
limit=$(cat "$folder/archive-limit" 2>/dev/null)
set -- pg_wal/archive_status/*.ready
if [ "${limit:-0}" -gt 0 ] && [ "$#" -gt "$limit" ]; then
    : >>"$folder/archive-dropped" || complain "unable to note in $folder that a part of the log is let go"
    exit 0
fi

# Which timeline the server writes now; what is of another one was inherited.
for history in pg_wal/????????.history; do :; done
newest=${history##*/}
newest=${newest%.history}

# What could not be killed is not joined by another one.
read -r before 2>/dev/null <"$hung"
if [ -n "$before" ] && [ "$(cat "/proc/$before/comm" 2>/dev/null)" = timeout ]; then
    complain "pgBackRest hangs and can't be killed: see whether the repository answers"
fi
seconds=15
case $(sed -n 8p postmaster.pid 2>/dev/null) in
stopping*)
    [ -e "$hung" ] && complain "pgBackRest hung, and the server is to end"
    seconds=5
    ;;
esac

timeout -k 1 "$seconds" "$program" --config="$configuration" --stanza="$stanza" archive-push "$part" &
child=$!
# From the one who waits for this script.
trap 'echo "$child" >"$hung"; complain "pgBackRest hangs and can not be killed: see whether the repository answers"' TERM
wait "$child"
case $? in
0)
    [ ! -e "$hung" ] || rm -f "$hung"
    exit 0
    ;;
45)
    # The repository has that part from the primary before, written otherwise behind its last record.
    [ -e "$history" ] || exit 1
    case $name in
    "$newest"*) exit 1 ;;
    *) exit 0 ;;
    esac
    ;;
124 | 137)
    echo "$child" >"$hung"
    complain "pgBackRest did not end within $seconds seconds and was killed: see whether the repository answers"
    ;;
126 | 127)
    complain "$program is not there, or can't be executed: run \`apt-get install pgbackrest\`"
    ;;
*)
    exit 1
    ;;
esac
