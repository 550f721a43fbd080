#!lua flags=allow-oom
-- open: empty a closed lane and begin an epoch.
-- KEYS[1] meta, all others go. ARGV[1] epoch, [2] grace in milliseconds, [3...] paused queues.
-- Returns 1, or 0 if another call closed or opened it meanwhile.
local call = redis.call
local state = call('HMGET', KEYS[1], 'epoch', 'opening', 'offset', 'clock')
if state[1] ~= 'closed' or state[2] ~= ARGV[1] then
  return 0
end
for i = 1, #KEYS do
  call('UNLINK', KEYS[i])
end
local time = call('TIME')
local raw = time[1] * 1000 + math.floor(time[2] / 1000)
local now = math.max(raw + tonumber(state[3] or 0), tonumber(state[4] or 0))
local grace = now + tonumber(ARGV[2])
call('HSET', KEYS[1], 'epoch', ARGV[1], 'grace', grace, 'suspect', grace + 60000,
  'offset', now - raw, 'clock', now)
for i = 3, #ARGV do
  call('HSET', KEYS[1], 'paused:' .. ARGV[i], 1)
end
return 1
