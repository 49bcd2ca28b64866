#!/bin/sh
# fuzz.sh GO PACKAGE FUZZER TIME runs one fuzzer. Inputs are not minimised for
# long, which would take the time away from finding some. A worker that is slow to
# stop makes go test say so in a line of its own, and is no finding; an input that
# fails, new or a seed, always is.
output=$("$1" test "$2" -run '^$' -fuzz "^$3\$" -fuzztime "$4" -fuzzminimizetime 10x 2>&1)
status=$?
printf '%s\n' "$output" | tail -n 3
[ $status -eq 0 ] && exit 0
if printf '%s\n' "$output" | grep -qE 'Failing input|seed corpus entry|^ *--- FAIL: .*/'; then
	printf '%s\n' "$output"
	exit 1
fi
printf '%s\n' "$output" | grep -qx '    context deadline exceeded' && exit 0
printf '%s\n' "$output"
exit 1
