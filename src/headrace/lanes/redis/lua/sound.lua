#!lua flags=allow-oom
-- sound: whether there are at least as many places as entries; fewer means that keys were lost.
-- KEYS[1] meta, [2] jobs, [3] queues, [4] workers, then delayed sets, ready lists, and held:WORKER of
-- every worker.
-- ARGV[1] epoch, [2] how many delayed sets, [3] how many ready lists, then the workers.
-- Returns 1 or 0, or -1 where a queue or a worker came meanwhile: its places are not counted.
local delayed, ready, FIRST = tonumber(ARGV[2]), tonumber(ARGV[3]), 5
if call('SCARD', KEYS[3]) ~= delayed or call('ZCARD', KEYS[4]) ~= #ARGV - 3 then
  return -1
end
for i = 4, #ARGV do
  if not call('ZSCORE', KEYS[4], ARGV[i]) then
    return -1
  end
end
local places = 0
for i = FIRST, #KEYS do
  if i < FIRST + delayed then
    places = places + call('ZCARD', KEYS[i])
  elseif i < FIRST + delayed + ready then
    places = places + call('LLEN', KEYS[i])
  else
    places = places + call('HLEN', KEYS[i])
  end
end
return call('HLEN', KEYS[2]) <= places and 1 or 0
