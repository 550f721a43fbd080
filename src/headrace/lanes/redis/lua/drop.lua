#!lua flags=allow-oom
-- drop: remove entries up to a generation; their places go when somebody meets them.
-- KEYS[1] meta, [2] jobs, [3] tombs.
-- ARGV[1] epoch, [2] id(16) gen(4) flags(4) of each. Returns now.
local ids, rest = split(ARGV[2])
local gone, buried = {}, {}
for i, record in ipairs(records(KEYS[2], ids)) do
  local gen, flags = struct.unpack('>I4I4', rest[i])
  local older = record and struct.unpack('>I4', record, 8) <= gen
  if older then
    gone[#gone + 1] = ids[i]
    flags = bit.bor(flags, byte(record, 12))
  end
  if (older or not record) and flag(flags, AWAITED) then
    buried[#buried + 1] = ids[i]
  end
end
remove(KEYS[2], gone)
if #buried > 0 then
  bury(KEYS[3], buried)
end
return now
