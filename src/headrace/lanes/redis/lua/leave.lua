#!lua flags=allow-oom
-- leave: end a worker's lease. What it still holds has expired.
-- KEYS[1] meta, [2] workers, [3] held:WORKER, [4] calls:WORKER. ARGV[1] epoch, [2] worker.
-- Returns now.
if call('EXISTS', KEYS[3]) == 1 then
  call('ZADD', KEYS[2], now, ARGV[2])
else
  call('ZREM', KEYS[2], ARGV[2])
  call('DEL', KEYS[4])
end
return now
