#!/bin/bash
# Runs every fuzz target of the module in turn, for the time given ("5m").
# Without a bound Go may spend all of it minimizing inputs that are slow.
set -euo pipefail

time=${1:-20s}
for dir in $(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do
	for target in $(grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | cut -d' ' -f2); do
		echo "== $dir $target ($time)"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir"
	done
done
