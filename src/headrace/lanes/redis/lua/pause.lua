#!lua flags=allow-oom
-- pause: stop or resume giving out a queue.
-- KEYS[1] meta, [2] wake. ARGV[1] epoch, [2] queue, [3] 1 to pause, 0 to resume. Returns now.
if ARGV[3] == '1' then
  call('HSET', KEYS[1], 'paused:' .. ARGV[2], 1)
else
  call('HDEL', KEYS[1], 'paused:' .. ARGV[2])
  wake(KEYS[2])
end
return now
