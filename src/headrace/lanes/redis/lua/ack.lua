#!lua flags=allow-oom
-- ack: remove entries that are over, leased as named.
-- KEYS[1] meta, [2] jobs, [3] held:WORKER, [4] tombs.
-- ARGV[1] epoch, [2] names: id(16) gen(4) call(4) each. Returns now.
acknowledge(KEYS[2], KEYS[3], KEYS[4], ARGV[2])
return now
