# Of the output of `bun test`: each failed test with its file and the 50 lines that it printed last.
# `bun test` itself lists the failed ones a second time, with the same words and times.
/^[^ ]+\.test\.ts:$/ { file = $0; lines = 0; next }
/^\((pass|skip|todo)\)/ { lines = 0; next }
/^(\(fail\)|✗)/ {
  failed = !seen[$0]++
  if (failed) {
    print "\n" file
    for (i = lines > 50 ? lines - 50 : 0; i < lines; i++) print kept[i]
    print
  }
  lines = 0
  next
}
/^  \^ / && failed { print; next }
{ failed = 0; kept[lines++] = $0 }
