#!lua flags=allow-oom
-- ripe: which of these queues have something to give out now.
-- Writes nothing, and does not say so: a server that takes no writes refuses it, as it would a take.
-- Else an idle worker, which asks only this, would take such a lane for well and never vote it out.
-- KEYS[1] meta, then of each queue delayed and its ready lists of levels 1 to 10.
-- ARGV[1] epoch, [2...] the queues' names. Returns the places of those, from 1 on.
local out = {}
for place = 1, #ARGV - 1 do
  local at = 2 + (place - 1) * 11
  local some = call('EXISTS', unpack(KEYS, at + 1, at + 10)) > 0
    or #call('ZRANGEBYSCORE', KEYS[at], '-inf', now, 'LIMIT', 0, 1) > 0
  if some and call('HEXISTS', KEYS[1], 'paused:' .. ARGV[place + 1]) == 0 then
    out[#out + 1] = place
  end
end
return out
