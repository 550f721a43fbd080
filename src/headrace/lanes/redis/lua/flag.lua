#!lua flags=allow-oom
-- flag: whoever takes these jobs from now on asks the ledger first. One that is not here gets a
-- tombstone, so that an unflagged push of it which is under way is refused.
-- KEYS[1] meta, [2] jobs, [3] tombs, [4] workers, then held:WORKER of each worker.
-- ARGV[1] epoch, [2] ids(16 each), [3] the workers whose keys these are (16 each).
-- Returns id(16) gen(4) of each lease on them; nothing, with nothing done, where there are other
-- workers by now.
local given = {}
for at = 1, #ARGV[3], 16 do
  given[sub(ARGV[3], at, at + 15)] = true
end
for _, worker in ipairs(call('ZRANGE', KEYS[4], 0, -1)) do
  if not given[worker] then
    return nil
  end
end
local ids, writes, absent = unpacked(ARGV[2]), {}, {}
for i, record in ipairs(records(KEYS[2], ids)) do
  if record then
    writes[#writes + 1] = ids[i]
    writes[#writes + 1] = sub(record, 1, 11) .. char(bit.bor(byte(record, 12), FLAGGED))
      .. sub(record, 13)
  else
    absent[#absent + 1] = ids[i]
  end
end
if #writes > 0 then
  call('HSET', KEYS[2], unpack(writes))
end
if #absent > 0 then
  bury(KEYS[3], absent)
end
return leases_on(ids, 5)
