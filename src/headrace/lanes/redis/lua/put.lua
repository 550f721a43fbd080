#!lua
-- put: store entries of one queue.
-- KEYS[1] meta, [2] jobs, [3] tombs, [4] cursors, [5] queues, [6] delayed, [7] wake,
-- [8...17] ready lists of levels 1 to 10.
-- ARGV[1] epoch, [2] queue, [3] cap of a level, [4] cap of the lane, then two for each entry:
-- head: id(16) gen(4) level(1) flags(1) delay(6, ms) stamp(7, ms, 0: none) run_at(8), and body.
-- Returns {now, a letter of PutReply for each entry}.
local queue = ARGV[2]
local settings = call('HMGET', KEYS[1], 'grace', 'cap:' .. queue, 'paused:' .. queue)
local grace = tonumber(settings[1] or 0)
local cap = tonumber(settings[2] or ARGV[3])
local room = tonumber(ARGV[4]) - call('HLEN', KEYS[2])
local count = (#ARGV - 4) / 2
local FRESH = 2000

local ids = {}
for i = 1, count do
  ids[i] = sub(ARGV[3 + 2 * i], 1, 16)
end
local found = call('HMGET', KEYS[2], unpack(ids))
local known = {}
for i, id in ipairs(ids) do
  known[id] = found[i] or nil
end
local buried = call('ZCARD', KEYS[3]) > 0

local seq = call('HINCRBY', KEYS[1], 'seq', count) - count
local writes, lists, delayed, lengths, spilled, tombs = {}, {}, {}, {}, {}, {}
local waiting = call('ZCARD', KEYS[6])
local earliest = math.huge

local function full(level, due)
  if room <= 0 then
    return true
  end
  if due > now then
    return waiting >= cap
  end
  lengths[level] = lengths[level] or call('LLEN', KEYS[7 + level])
  return lengths[level] >= cap
end

local function spill(id, level, run_at, old)
  local key = run_at .. id
  if not spilled[level] or before(key, spilled[level]) then
    spilled[level] = key
  end
  if old then
    -- A newer generation exists, so this one must not be given out.
    call('HDEL', KEYS[2], id)
    known[id], writes[id] = nil, nil
    room = room + 1
    if flag(byte(old, 12), AWAITED) then
      tombs[#tombs + 1] = id
    end
  end
end

local function store(id, gen, level, flags, due, body, old)
  seq = seq + 1
  local place = struct.pack('>I7', seq)
  if old then
    if flag(byte(old, 12), AWAITED) then
      flags = bit.bor(flags, AWAITED)
    end
  else
    room = room - 1
  end
  local record = place .. struct.pack('>I4B', gen, flags) .. body
  known[id], writes[id] = record, record
  if due > now then
    waiting = waiting + 1
    earliest = math.min(earliest, due)
    delayed[#delayed + 1] = due
    delayed[#delayed + 1] = place .. id .. char(level)
  else
    lengths[level] = lengths[level] + 1
    lists[level] = lists[level] or {}
    table.insert(lists[level], id .. place)
  end
end

local function put(head, body)
  local id, gen, level, flags, delay, stamp, run_at = struct.unpack('>c16I4BBI6I7c8', head)
  local old = known[id]
  if old and struct.unpack('>I4', old, 8) >= gen then
    return 'K'
  end
  local age = now - stamp
  if not flag(flags, FLAGGED) and (age < 0 or age > FRESH) then
    flags = flags + FLAGGED
  end
  if buried and not flag(flags, FLAGGED) and tonumber(call('ZSCORE', KEYS[3], id) or 0) > now then
    return 'R'
  end
  local due = now + delay
  if not flag(flags, CLEAR) then
    due = math.max(due, grace)
  end
  if full(level, due) then
    spill(id, level, run_at, old)
    return 'F'
  end
  store(id, gen, level, flags, due, body, old)
  return 'S'
end

local replies = {}
for i = 1, count do
  replies[i] = put(ARGV[3 + 2 * i], ARGV[4 + 2 * i])
end

local pairs_to_write = {}
for id, record in pairs(writes) do
  pairs_to_write[#pairs_to_write + 1] = id
  pairs_to_write[#pairs_to_write + 1] = record
end
if #pairs_to_write > 0 then
  call('HSET', KEYS[2], unpack(pairs_to_write))
  call('SADD', KEYS[5], queue)
end
for level, tokens in pairs(lists) do
  call('RPUSH', KEYS[7 + level], unpack(tokens))
end
if #delayed > 0 then
  call('ZADD', KEYS[6], unpack(delayed))
end
for level, key in pairs(spilled) do
  -- The first spill sets the cursor; later ones wait beside it until the refill moves it.
  local field = level .. ':' .. queue
  if call('HSETNX', KEYS[4], 'c' .. field, key) == 0 then
    local low = call('HGET', KEYS[4], 's' .. field)
    if not low or before(key, low) then
      call('HSET', KEYS[4], 's' .. field, key)
    end
  end
end
if #tombs > 0 then
  bury(KEYS[3], tombs)
end
if not settings[3] then
  local first = call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')
  if next(lists) or (first[2] and earliest <= tonumber(first[2])) then
    wake(KEYS[7])
  end
end
return { now, table.concat(replies) }
