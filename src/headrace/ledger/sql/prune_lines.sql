-- prune_lines: forget lines in which no job is.
SELECT headrace.prune_lines()
