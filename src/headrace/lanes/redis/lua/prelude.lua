-- prelude: the head of every script but close and open: its names, its clock, the epoch's fence.
-- KEYS[1] meta, ARGV[1] epoch. All numbers are big-endian.
-- place: 7 random bytes of the client's, new each time an entry comes to a place.
-- token: id(16) place(7), in a ready list; in delayed: count(4) id(16) place(7) level(1).
-- record: place(7) gen(4) flags(1) body, in jobs by id. A token or lease whose place is not the
-- record's is stale, and whoever meets it removes it: body and place are one truth.
-- lease: place(7) gen(4) call(4) level(1) queue, in held:WORKER by id.
local call, sub, byte, char = redis.call, string.sub, string.byte, string.char
local FLAGGED, AWAITED, CLEAR = 1, 2, 4
local TOMBSTONE = 10000
local SUSPECT = 60000
local CONDEMNED = 128 -- the highest bit of a lease's call

local state = call('HMGET', KEYS[1], 'epoch', 'offset', 'clock')
if state[1] ~= ARGV[1] then
  return redis.error_reply('WRONGEPOCH ' .. (state[1] or 'none'))
end
-- The lane's clock in milliseconds: TIME, kept from stepping back.
local time = call('TIME')
local seen = tonumber(state[3] or 0)
local raw = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(state[2] or 0)
local now = math.max(raw, seen)

local function flag(flags, bit_of)
  return bit.band(flags, bit_of) ~= 0
end

local function bury(tombs, ids)
  call('ZREMRANGEBYSCORE', tombs, '-inf', now)
  for _, id in ipairs(ids) do
    call('ZADD', tombs, now + TOMBSTONE, id)
  end
end

-- HMGET for any number of fields.
local function records(key, ids)
  if #ids <= 500 then
    return #ids == 0 and {} or call('HMGET', key, unpack(ids))
  end
  local all = {}
  for first = 1, #ids, 500 do
    local some = call('HMGET', key, unpack(ids, first, math.min(first + 499, #ids)))
    for i = 1, #some do
      all[first + i - 1] = some[i]
    end
  end
  return all
end

-- HDEL for any number of fields.
local function remove(key, ids)
  for first = 1, #ids, 500 do
    call('HDEL', key, unpack(ids, first, math.min(first + 499, #ids)))
  end
end

local function holds(lease, record)
  return lease and record and sub(lease, 1, 7) == sub(record, 1, 7)
end

-- names: id(16) gen(4) call(4) of each entry; returns ids and the rest of each.
local function split(names)
  local ids, rest = {}, {}
  for at = 1, #names, 24 do
    ids[#ids + 1] = sub(names, at, at + 15)
    rest[#rest + 1] = sub(names, at + 16, at + 23)
  end
  return ids, rest
end

-- Whether a lease is the one that a name means: gen and call.
local function same(lease, rest)
  return lease and sub(lease, 8, 15) == rest
end

-- Remove entries that are over, leased as named. For ack and take.
local function acknowledge(jobs, held, tombs, names)
  local ids, rest = split(names)
  local leases, found = records(held, ids), records(jobs, ids)
  local mine, over, buried = {}, {}, {}
  for i, id in ipairs(ids) do
    if same(leases[i], rest[i]) then
      mine[#mine + 1] = id
      if holds(leases[i], found[i]) then
        over[#over + 1] = id
        if flag(byte(found[i], 12), AWAITED) then
          buried[#buried + 1] = id
        end
      end
    end
  end
  remove(held, mine)
  remove(jobs, over)
  if #buried > 0 then
    bury(tombs, buried)
  end
end

-- ids: 16 bytes each.
local function unpacked(ids)
  local out = {}
  for at = 1, #ids, 16 do
    out[#out + 1] = sub(ids, at, at + 15)
  end
  return out
end

-- id(16) gen(4) of each lease on these ids in the hashes held:WORKER of KEYS[first...].
local function leases_on(ids, first)
  local out = {}
  for at = first, #KEYS do
    for i, lease in ipairs(records(KEYS[at], ids)) do
      if lease then
        out[#out + 1] = ids[i] .. sub(lease, 8, 11)
      end
    end
  end
  return table.concat(out)
end

-- One token wakes one worker, and whoever takes and leaves something passes it on, so no more
-- than one need lie there.
local function wake(list)
  if call('LLEN', list) == 0 then
    call('RPUSH', list, '1')
  end
end

-- Whether a cursor lies before another. Lua's own < on strings follows the server's locale.
local function before(a, b)
  for at = 1, 24, 4 do
    local x, y = struct.unpack('>I4', a, at), struct.unpack('>I4', b, at)
    if x ~= y then
      return x < y
    end
  end
  return false
end

-- Compare the clock with the last one seen (protocol A1). Where nobody looked for half a lease, no
-- beat came through either, whoever was late or frozen, so that time is no silence: each lease that
-- was not over ends as much later, and all is suspect for a minute. A worker's own fence does not
-- wait: it counts real time from its last good beat, and no lease is shorter for this. The beats of
-- one worker, which come every third of a lease or a little later, are looks enough. A clock that
-- stepped back goes on from where it was.
local function look_at_clock(workers, lease)
  local gap = now - seen
  if raw < seen or (seen > 0 and gap > lease / 2) then
    for _, worker in ipairs(call('ZRANGEBYSCORE', workers, '(' .. state[3], '+inf')) do
      call('ZINCRBY', workers, gap, worker)
    end
    local suspect = tonumber(call('HGET', KEYS[1], 'suspect') or 0)
    call('HSET', KEYS[1], 'suspect', math.max(suspect, now + SUSPECT))
    if raw < seen then
      call('HSET', KEYS[1], 'offset', tonumber(state[2] or 0) + seen - raw)
    end
  end
  call('HSET', KEYS[1], 'clock', now)
end
