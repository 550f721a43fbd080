-- drop_retired: drop a detached day; the counters go down by it. $1 day. Returns how many jobs.
SELECT headrace.drop_retired($1)
