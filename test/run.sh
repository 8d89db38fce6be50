#!/usr/bin/env bash
# Runs all tests. Those in guests run two files at a time: an emulated guest keeps one processor busy.
# Each failure is shown once more at the end, where it is found in an hour's output.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
status=0
part() { # part NAME ARGUMENTS...
  local name=$1 log="$logs/$1"
  shift
  bun test "$@" 2>&1 | tee "$log" && return
  status=1
  awk -f test/failures.awk "$log" > "$logs/$name.failures"
  # A run that ended without its summary names no test.
  [ -s "$logs/$name.failures" ] || tail -n 60 "$log" > "$logs/$name.failures"
}
part host --path-ignore-patterns='test/guest/**'
part guests --parallel=2 ./test/guest
if [ "$status" -ne 0 ]; then
  printf '\nThese failed:\n'
  cat "$logs"/*.failures
fi
exit "$status"
