-- rest: let nothing start under these limits for a while. $1 names, $2 keys, $3 seconds.
SELECT headrace.rest($1, $2, $3)
