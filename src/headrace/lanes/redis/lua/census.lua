#!lua flags=no-writes
-- census: some of the entries, in no order; one may come twice.
-- KEYS[1] meta, [2] jobs. ARGV[1] epoch, [2] where to go on, 0 to begin, [3] about how many.
-- Returns {where to go on, or 0; id(16) place(7) gen(4) of each}.
local found = call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local heads = {}
for i = 1, #found[2], 2 do
  heads[#heads + 1] = found[2][i] .. sub(found[2][i + 1], 1, 11)
end
return { found[1], table.concat(heads) }
