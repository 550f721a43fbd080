#!lua flags=allow-oom
-- close: refuse every epoch, so that the lane can be emptied and opened for a new one.
-- KEYS[1] meta, [2] queues, [3] workers. ARGV[1] the new epoch, [2] the same as a number.
-- Returns {}, if the lane is at that epoch already; else {queues, workers} whose keys are to go.
local current = redis.call('HGET', KEYS[1], 'epoch')
if current == ARGV[1] then
  return {}
end
if current and tonumber(string.match(current, '^%d+') or 0) > tonumber(ARGV[2]) then
  return redis.error_reply('WRONGEPOCH ' .. current)
end
redis.call('HSET', KEYS[1], 'epoch', 'closed', 'opening', ARGV[1])
return { redis.call('SMEMBERS', KEYS[2]), redis.call('ZRANGE', KEYS[3], 0, -1) }
