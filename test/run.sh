#!/usr/bin/env bash
# Runs all tests. Those in guests run two files at a time: an emulated guest keeps one processor busy.
set -uo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"

status=0
bun test --path-ignore-patterns='test/guest/**' || status=$?
bun test --parallel=2 ./test/guest || status=$?
exit "$status"
