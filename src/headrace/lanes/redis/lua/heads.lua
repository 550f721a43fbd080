#!lua flags=no-writes
-- heads: the entries of some jobs.
-- KEYS[1] meta, [2] jobs. ARGV[1] epoch, [2] ids(16 each).
-- Returns id(16) place(7) gen(4) of each that is there.
local ids, heads = {}, {}
for at = 1, #ARGV[2], 16 do
  ids[#ids + 1] = sub(ARGV[2], at, at + 15)
end
for i, record in ipairs(records(KEYS[2], ids)) do
  if record then
    heads[#heads + 1] = ids[i] .. sub(record, 1, 11)
  end
end
return table.concat(heads)
