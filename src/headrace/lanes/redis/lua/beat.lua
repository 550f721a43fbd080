#!lua flags=allow-oom
-- beat: begin or prolong a worker's lease and compare its hand with the books.
-- KEYS[1] meta, [2] jobs, [3] workers, [4] held:WORKER.
-- ARGV[1] epoch, [2] worker, [3] lease in milliseconds, [4] last answered call,
-- [5] its hand: id(16) gen(4) call(4) each.
-- Returns {now, lost names, name and level(1) and queue of each entry to release...}, or {now}
-- where the worker is refused: something it holds is condemned.
look_at_clock(KEYS[3], tonumber(ARGV[3]))

local named_ids, named = split(ARGV[5])
local named_as = {}
for i, id in ipairs(named_ids) do
  named_as[id] = named[i]
end
local all = call('HGETALL', KEYS[4])
local ids, leases = {}, {}
for i = 1, #all, 2 do
  ids[#ids + 1] = all[i]
  leases[#leases + 1] = all[i + 1]
end
local found = records(KEYS[2], ids)
for i, record in ipairs(found) do
  if holds(leases[i], record) and byte(leases[i], 12) >= CONDEMNED then
    return { now }
  end
end
call('ZADD', KEYS[3], now + tonumber(ARGV[3]), ARGV[2])
local own, stale, out = {}, {}, { now, '' }
for i, record in ipairs(found) do
  local id, lease = ids[i], leases[i]
  if not holds(lease, record) then
    stale[#stale + 1] = id
  elseif same(lease, named_as[id]) then
    own[id] = true
  elseif struct.unpack('>I4', lease, 12) <= tonumber(ARGV[4]) then
    out[#out + 1] = id .. sub(lease, 8)
  end
end
remove(KEYS[4], stale)
local lost = {}
for i, id in ipairs(named_ids) do
  if not own[id] then
    lost[#lost + 1] = id .. named[i]
  end
end
out[2] = table.concat(lost)
return out
