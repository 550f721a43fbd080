#!lua flags=allow-oom
-- suspect: give out all of a queue flagged for a while; a longer while stays.
-- KEYS[1] meta. ARGV[1] epoch, [2] queue, [3] milliseconds. Returns now.
local field = 'suspect:' .. ARGV[2]
local until_now = tonumber(call('HGET', KEYS[1], field) or 0)
call('HSET', KEYS[1], field, math.max(until_now, now + tonumber(ARGV[3])))
return now
