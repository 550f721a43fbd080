#!lua flags=allow-oom
-- leased: the leases on these jobs, stale ones included: their holders may not know yet.
-- KEYS[1] meta, then held:WORKER of each worker. ARGV[1] epoch, [2] ids(16 each).
-- Returns id(16) gen(4) of each.
return leases_on(unpacked(ARGV[2]), 2)
