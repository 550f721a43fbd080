#!lua flags=allow-oom
-- sound: whether there are at least as many places as entries; fewer means that keys were lost.
-- KEYS[1] meta, [2] jobs, then delayed sets, ready lists, and held:WORKER of every worker.
-- ARGV[1] epoch, [2] how many delayed sets, [3] how many ready lists. Returns 1 or 0.
local delayed, ready = tonumber(ARGV[2]), tonumber(ARGV[3])
local places = 0
for i = 3, #KEYS do
  if i < 3 + delayed then
    places = places + call('ZCARD', KEYS[i])
  elseif i < 3 + delayed + ready then
    places = places + call('LLEN', KEYS[i])
  else
    places = places + call('HLEN', KEYS[i])
  end
end
return call('HLEN', KEYS[2]) <= places and 1 or 0
