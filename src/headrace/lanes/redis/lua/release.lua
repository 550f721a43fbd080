#!lua flags=allow-oom
-- release: give leased entries of one queue back, flagged, to the front of their level.
-- KEYS[1] meta, [2] jobs, [3] held:WORKER, [4] wake, [5...14] ready lists of levels 1 to 10.
-- ARGV[1] epoch, [2] queue, [3] names: id(16) gen(4) call(4) each, [4] a place(7) for
-- each. Returns now.
local ids, rest = split(ARGV[3])
local leases, found = records(KEYS[3], ids), records(KEYS[2], ids)
local gone, writes, lists = {}, {}, {}
for i = #ids, 1, -1 do
  local lease, record = leases[i], found[i]
  if same(lease, rest[i]) and sub(lease, 17) == ARGV[2] then
    gone[#gone + 1] = ids[i]
    if holds(lease, record) then
      local place = sub(ARGV[4], 7 * i - 6, 7 * i)
      local flags = bit.bor(byte(record, 12), FLAGGED, CLEAR)
      writes[#writes + 1] = ids[i]
      writes[#writes + 1] = place .. sub(record, 8, 11) .. char(flags)
        .. sub(record, 13)
      local level = byte(lease, 16)
      lists[level] = lists[level] or {}
      table.insert(lists[level], ids[i] .. place)
    end
  end
end
remove(KEYS[3], gone)
if #writes > 0 then
  call('HSET', KEYS[2], unpack(writes))
  for level, tokens in pairs(lists) do
    call('LPUSH', KEYS[4 + level], unpack(tokens))
  end
  if call('HEXISTS', KEYS[1], 'paused:' .. ARGV[2]) == 0 then
    wake(KEYS[4])
  end
end
return now
