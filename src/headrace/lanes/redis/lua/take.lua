#!lua flags=allow-oom
-- take: acks first, then lease due entries of one queue to a worker.
-- KEYS[1] meta, [2] jobs, [3] tombs, [4] workers, [5] held:WORKER, [6] calls:WORKER, [7] delayed,
-- [8] wake, [9...18] ready lists of levels 1 to 10.
-- ARGV[1] epoch, [2] worker, [3] queue, [4] call, [5] how many, [6] strides (10 doubles),
-- [7] acks: id(16) gen(4) call(4) each.
-- Returns {now, milliseconds until more is due (-1: none), 1 if all is suspect, levels (a byte
-- each), ids (16 bytes each), records...}.
local worker, queue, number, n = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local NOTHING = { now, -1, 0, '', '' }
local MOVED = 500
local STALE = 1000
local FEW = 32

if ARGV[7] ~= '' then
  acknowledge(KEYS[2], KEYS[5], KEYS[3], ARGV[7])
end
local settings = call('HMGET', KEYS[1], 'suspect', 'paused:' .. queue, 'shares:' .. queue)
local suspect = tonumber(settings[1] or 0) > now and 1 or 0

local function reply(due, levels, ids, found)
  local out = { now, due, suspect, table.concat(levels), table.concat(ids) }
  for i = 1, #found do
    out[5 + i] = found[i]
  end
  return out
end

if tonumber(call('ZSCORE', KEYS[4], worker) or 0) <= now then
  return NOTHING
end
local last = tonumber(call('HGET', KEYS[6], queue) or 0)
if number < last then
  return NOTHING
end
local given = struct.pack('>I4', number)
if number == last then
  -- The reply was lost: once more what is still leased under this call.
  local leases = call('HGETALL', KEYS[5])
  local asked, of = {}, {}
  for i = 1, #leases, 2 do
    local lease = leases[i + 1]
    if sub(lease, 12, 15) == given and sub(lease, 17) == queue then
      asked[#asked + 1] = leases[i]
      of[#of + 1] = lease
    end
  end
  local levels, ids, found = {}, {}, {}
  for i, record in ipairs(records(KEYS[2], asked)) do
    if holds(of[i], record) then
      levels[#levels + 1] = sub(of[i], 16, 16)
      ids[#ids + 1] = asked[i]
      found[#found + 1] = record
    end
  end
  return reply(-1, levels, ids, found)
end
call('HSET', KEYS[6], queue, number)
if settings[2] then
  return NOTHING
end

local due = call('ZRANGEBYSCORE', KEYS[7], '-inf', now, 'LIMIT', 0, MOVED)
if #due > 0 then
  local lists = {}
  for _, member in ipairs(due) do
    local level = byte(member, 28)
    lists[level] = lists[level] or {}
    table.insert(lists[level], sub(member, 5, 27))
  end
  for level, tokens in pairs(lists) do
    call('RPUSH', KEYS[8 + level], unpack(tokens))
  end
  call('ZREMRANGEBYRANK', KEYS[7], 0, #due - 1)
end

-- Stride scheduling (model/priority.py).
local lengths, left = {}, 0
for level = 1, 10 do
  lengths[level] = call('LLEN', KEYS[8 + level])
  left = left + lengths[level]
end
local strides = { struct.unpack('<dddddddddd', ARGV[6]) }
-- The passes of the ten levels, and the last key served.
local passes = settings[3] and { struct.unpack('<ddddddddddd', settings[3]) }
  or { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
passes[12] = nil

local function share_out(want)
  local counts, ahead, open = {}, {}, {}
  for level = 1, 10 do
    if lengths[level] > 0 then
      open[#open + 1] = level
      counts[level], ahead[level] = 0, passes[level]
    end
  end
  if #open == 1 then
    counts[open[1]] = math.min(want, lengths[open[1]])
    return counts
  end
  for _ = 1, math.min(want, left) do
    local best, lowest = nil, math.huge
    for _, level in ipairs(open) do
      if counts[level] < lengths[level] and ahead[level] + strides[level] < lowest then
        best, lowest = level, ahead[level] + strides[level]
      end
    end
    counts[best], ahead[best] = counts[best] + 1, lowest
  end
  return counts
end

local levels, ids, found, leases = {}, {}, {}, {}
local popped, count = 0, 0

-- Lease the popped entries of one level; a token that is not its record's place is stale.
local function lease(level, tokens)
  local letter = char(level)
  local under = given .. letter .. queue
  local wanted = {}
  for i = 1, #tokens do
    wanted[i] = sub(tokens[i], 1, 16)
  end
  local some = records(KEYS[2], wanted)
  for i = 1, #tokens do
    local record = some[i]
    if record then
      local head = sub(record, 1, 11)
      if sub(tokens[i], 17) == sub(head, 1, 7) then
        count = count + 1
        levels[count], ids[count], found[count] = letter, wanted[i], record
        leases[2 * count - 1], leases[2 * count] = wanted[i], head .. under
        passes[level] = passes[level] + strides[level]
        passes[11] = math.max(passes[11], passes[level])
      end
    end
  end
end

local function pop(counts)
  for level = 1, 10 do
    local some = counts[level]
    if some and some > 0 then
      lease(level, call('LPOP', KEYS[8 + level], some))
      lengths[level], left, popped = lengths[level] - some, left - some, popped + some
    end
  end
end

while count < n and left > 0 and popped < n + STALE do
  pop(share_out(n - count))
end

if count > 0 then
  if count > FEW then
    -- A value this long makes the server keep the hash as a table, not as a list that it walks
    -- for each lease (tests/integration/test_redis_lane.py).
    call('HSET', KEYS[5], 'table', string.rep(' ', 65))
  end
  call('HSET', KEYS[5], unpack(leases))
  if count > FEW then
    call('HDEL', KEYS[5], 'table')
  end
  for level = 1, 10 do
    passes[level] = math.max(passes[level], passes[11] - strides[level])
  end
  call('HSET', KEYS[1], 'shares:' .. queue, struct.pack('<ddddddddddd', unpack(passes)))
end

if left > 0 then
  wake(KEYS[8])
else
  call('DEL', KEYS[8])
end
local more = -1
if count < n then
  if left > 0 then
    more = 0
  else
    local first = call('ZRANGE', KEYS[7], 0, 0, 'WITHSCORES')
    more = first[2] and math.max(0, tonumber(first[2]) - now) or -1
  end
end
return reply(more, levels, ids, found)
