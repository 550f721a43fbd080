#!lua flags=allow-oom
-- lapsed: the workers whose lease is over.
-- KEYS[1] meta, [2] workers. ARGV[1] epoch, [2] lease in milliseconds, [3] how many at most.
look_at_clock(KEYS[2], tonumber(ARGV[2]))
return call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[3])
