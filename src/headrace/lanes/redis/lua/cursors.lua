#!lua flags=allow-oom
-- cursors: from where each queue and level has rows that did not fit.
-- KEYS[1] meta, [2] cursors. ARGV[1] epoch.
-- Returns field (c or s, level, :, queue) and value (run_at(8) id(16)) in turn.
return call('HGETALL', KEYS[2])
