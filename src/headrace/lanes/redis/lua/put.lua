#!lua
-- put: store entries of one queue.
-- KEYS[1] meta, [2] jobs, [3] tombs, [4] cursors, [5] queues, [6] delayed, [7] wake,
-- [8...17] ready lists of levels 1 to 10.
-- ARGV[1] epoch, [2] queue, [3] cap of a level, [4] cap of the lane, [5] cap of a level in a lane
-- that is full, [6] the heads of all entries: token level(1) delay(6, ms) stamp(7, ms, 0: none)
-- run_at(8); then the record of each.
-- Returns {now, a letter of PutReply for each entry}.
local queue = ARGV[2]
local settings = call('HMGET', KEYS[1], 'grace', 'cap:' .. queue, 'paused:' .. queue)
local grace = tonumber(settings[1] or 0)
local cap = tonumber(settings[2] or ARGV[3])
local room = tonumber(ARGV[4]) - call('HLEN', KEYS[2])
local floor = math.min(cap, tonumber(ARGV[5]))
local heads, HEAD = ARGV[6], 45
local FRESH = 2000

local ids = {}
for at = 1, #heads, HEAD do
  ids[#ids + 1] = sub(heads, at, at + 15)
end
local known = {}
for i, record in ipairs(records(KEYS[2], ids)) do
  known[ids[i]] = record or nil
end

local writes, lists, delayed, lengths, spilled, tombs = {}, {}, {}, {}, {}, {}
local waiting, earliest = nil, math.huge

local function full(level, due)
  if due > now or room <= 0 then
    waiting = waiting or call('ZCARD', KEYS[6])
  end
  if due <= now or room <= 0 then
    lengths[level] = lengths[level] or call('LLEN', KEYS[7 + level])
  end
  if room <= 0 then
    return waiting + lengths[level] >= floor
  end
  return (due > now and waiting or lengths[level]) >= cap
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

local function store(id, token, level, due, record, old)
  if not old then
    room = room - 1
  end
  known[id], writes[id] = record, record
  if due > now then
    waiting = waiting + 1
    earliest = math.min(earliest, due)
    -- Counted, so that entries due at once keep their order.
    delayed[#delayed + 1] = due
    delayed[#delayed + 1] = struct.pack('>I4', waiting) .. token .. char(level)
  else
    lengths[level] = lengths[level] + 1
    local list = lists[level] or {}
    list[#list + 1] = token
    lists[level] = list
  end
end

local function put(id, at, record)
  local old = known[id]
  if old and struct.unpack('>I4', old, 8) >= struct.unpack('>I4', record, 8) then
    return 'K'
  end
  local level, delay, stamp = struct.unpack('>BI6I7', heads, at + 23)
  local flags = byte(record, 12)
  local wanted = flags
  if not flag(flags, FLAGGED) then
    local age = now - stamp
    if age < 0 or age > FRESH then
      wanted = bit.bor(wanted, FLAGGED)
    elseif tonumber(call('ZSCORE', KEYS[3], id) or 0) > now then
      return 'R'
    end
  end
  local due = now + delay
  if due < grace and not flag(flags, CLEAR) then
    due = grace
  end
  if full(level, due) then
    spill(id, level, sub(heads, at + 37, at + 44), old)
    return 'F'
  end
  if old then
    wanted = bit.bor(wanted, bit.band(byte(old, 12), AWAITED))
  end
  if wanted ~= flags then
    record = sub(record, 1, 11) .. char(wanted) .. sub(record, 13)
  end
  store(id, sub(heads, at, at + 22), level, due, record, old)
  return 'S'
end

local replies = {}
for i, id in ipairs(ids) do
  replies[i] = put(id, (i - 1) * HEAD + 1, ARGV[6 + i])
end

local fields = {}
for id, record in pairs(writes) do
  fields[#fields + 1] = id
  fields[#fields + 1] = record
end
if #fields > 0 then
  call('HSET', KEYS[2], unpack(fields))
  call('SADD', KEYS[5], queue)
end
local news = false
for level, tokens in pairs(lists) do
  call('RPUSH', KEYS[7 + level], unpack(tokens))
  news = true
end
if #delayed > 0 then
  call('ZADD', KEYS[6], unpack(delayed))
  news = news or earliest <= tonumber(call('ZRANGE', KEYS[6], 0, 0, 'WITHSCORES')[2])
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
if news and not settings[3] then
  wake(KEYS[7])
end
return { now, table.concat(replies) }
