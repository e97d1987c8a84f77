# shellcheck shell=bash
# What the parts of scripts/ports share. A part sources it with its own name as the argument:
#
#     . /src/scripts/ports-parts/report.sh arm64
#     check "what must hold" COMMAND ...      prints "pass", or "FAIL" and the end of what COMMAND wrote
#     finish                                  prints what it all cost; ends the part with 1 where a check failed
#
# COMMAND may be a function: it runs in a subshell under `set -e`, in $out, where what it writes stays.
# $work is the part's folder for builds (/build/NAME inside), $out is emptied each time.
set -euo pipefail
part=$1
work=/build/$part
out=$work/out
export CARGO_TARGET_DIR=$work
rm -rf "$out"
mkdir -p "$out/logs"

checks=0
failed=0
began=$SECONDS

check() {
    local what=$1 log rc real user system
    shift
    checks=$((checks + 1))
    log=$(printf '%s/logs/%02d.txt' "$out" "$checks")
    local TIMEFORMAT='%0R %0U %0S'
    # Not in a condition, where bash would ignore `set -e` within.
    set +e
    { time {
        (
            set -e
            cd "$out"
            "$@"
        ) </dev/null >"$log" 2>&1
    }; } 2>"$log.time"
    rc=$?
    set -e
    read -r real user system <"$log.time"
    rm "$log.time"
    if [ "$rc" = 0 ]; then
        printf 'pass  %s (%s s, %s s of processor time)\n' "$what" "$real" $((user + system))
    else
        failed=$((failed + 1))
        printf 'FAIL  %s (%s s, %s s of processor time), status %s, in %s:\n' "$what" "$real" $((user + system)) "$rc" "$log"
        tail -n 15 "$log" | sed 's/^/      /'
    fi
}

finish() {
    local used
    used=$(times | tail -n 1 | sed 's/[ms.]/ /g' | awk '{ print int($1 * 60 + $2 + $4 * 60 + $5) }')
    printf '%s: %s of %s checks passed; %s s, %s s of processor time; the logs are in the root, in %s\n' \
        "$part" $((checks - failed)) "$checks" $((SECONDS - began)) "$used" "$out/logs"
    [ "$failed" = 0 ]
}

# Succeeds where the text is in the file.
says() { grep -qF -- "$2" "$1" || { echo "$1 lacks: $2"; tail -n 20 "$1"; return 1; }; }

# Runs a command that must end with the given status; what it writes goes to the given file, too.
ends_with() {
    local status=$1 file=$2 rc=0
    shift 2
    "$@" >"$file" 2>&1 || rc=$?
    cat "$file"
    [ "$rc" = "$status" ] || { echo "status $rc where $status was expected: $*"; return 1; }
}

# Runs a command on a display of its own, :99.
displayed() {
    Xvfb :99 -screen 0 1280x800x24 >/dev/null 2>&1 &
    local display=$! rc=0
    for _ in $(seq 50); do [ ! -e /tmp/.X11-unix/X99 ] || break; sleep 0.1; done
    DISPLAY=:99 "$@" || rc=$?
    kill "$display"
    wait "$display" || true
    return "$rc"
}

# A screenshot of the display to a file; fails where it shows hardly anything.
screenshot() {
    import -window root "$1"
    local colours
    colours=$(identify -format %k "$1")
    echo "$1: $colours colours"
    [ "$colours" -gt 500 ]
}
