#!lua flags=allow-oom
-- expired: what workers hold whose lease is over. One that holds nothing is forgotten.
-- What is listed is condemned: its call gets a bit that no worker can name, so that a beat or release
-- which comes late cannot bring it back while the ledger raises its generation. It may be listed
-- again, with the call that it was given by.
-- KEYS[1] meta, [2] jobs, [3] workers, then held:WORKER and calls:WORKER of each.
-- ARGV[1] epoch, [2] how many at most, [3...] the workers.
-- Returns worker(16) id(16) gen(4) call(4) of each.
local out, room = {}, tonumber(ARGV[2])

local function inspect(worker, held, calls)
  if tonumber(call('ZSCORE', KEYS[3], worker) or math.huge) > now then
    return
  end
  local all = call('HGETALL', held)
  local ids, leases = {}, {}
  for i = 1, #all, 2 do
    ids[#ids + 1] = all[i]
    leases[#leases + 1] = all[i + 1]
  end
  local stale = {}
  for i, record in ipairs(records(KEYS[2], ids)) do
    if not holds(leases[i], record) then
      stale[#stale + 1] = ids[i]
    elseif #out < room then
      local lease, top = leases[i], byte(leases[i], 12) % CONDEMNED
      out[#out + 1] = worker .. ids[i] .. sub(lease, 8, 11) .. char(top) .. sub(lease, 13, 15)
      call('HSET', held, ids[i], sub(lease, 1, 11) .. char(CONDEMNED + top) .. sub(lease, 13))
    end
  end
  remove(held, stale)
  if #stale == #ids then
    call('ZREM', KEYS[3], worker)
    call('DEL', calls)
  end
end

for i = 3, #ARGV do
  if #out < room then
    inspect(ARGV[i], KEYS[2 * i - 2], KEYS[2 * i - 1])
  end
end
return out
