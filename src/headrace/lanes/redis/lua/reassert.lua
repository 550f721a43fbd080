#!lua flags=allow-oom
-- reassert: bring what a worker holds into a new epoch, during its grace.
-- KEYS[1] meta, [2] jobs, [3] workers, [4] held:WORKER, [5] queues.
-- ARGV[1] epoch, [2] worker, [3] lease in milliseconds, then three for each entry:
-- id(16) gen(4) call(4) level(1) place(7), queue, body. Returns {now, a 1 or 0 for each: still its own}.
local open = tonumber(call('HGET', KEYS[1], 'grace') or 0) > now
local count = (#ARGV - 3) / 3
call('ZADD', KEYS[3], now + tonumber(ARGV[3]), ARGV[2])
local ids = {}
for i = 1, count do
  ids[i] = sub(ARGV[1 + 3 * i], 1, 16)
end
local leases, found = records(KEYS[4], ids), records(KEYS[2], ids)

-- An entry put in the grace lies there untaken, unless it is clear: then nobody of an earlier
-- epoch can hold it.
local function own(i)
  local head, queue, body = ARGV[1 + 3 * i], ARGV[2 + 3 * i], ARGV[3 + 3 * i]
  local gen = sub(head, 17, 20)
  if same(leases[i], sub(head, 17, 24)) and holds(leases[i], found[i]) then
    return '1'
  end
  local record = found[i]
  local taken = record
    and (struct.unpack('>I4', record, 8) > struct.unpack('>I4', gen)
      or flag(byte(record, 12), CLEAR))
  if taken or not open then
    return '0'
  end
  local place = sub(head, 26, 32)
  local flags = bit.bor(record and byte(record, 12) or 0, FLAGGED, CLEAR)
  call('HSET', KEYS[2], ids[i], place .. gen .. char(flags) .. body)
  call('HSET', KEYS[4], ids[i], place .. sub(head, 17, 25) .. queue)
  call('SADD', KEYS[5], queue)  -- if it is released, it lies in a list that must be known
  return '1'
end

local answers = {}
for i = 1, count do
  answers[i] = own(i)
end
return { now, table.concat(answers) }
