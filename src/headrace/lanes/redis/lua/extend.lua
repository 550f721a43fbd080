#!lua flags=allow-oom
-- extend: which leases are the worker's own.
-- KEYS[1] meta, [2] jobs, [3] held:WORKER.
-- ARGV[1] epoch, [2] names: id(16) gen(4) call(4) each. Returns a 1 or 0 for each name.
local ids, rest = split(ARGV[2])
local leases, found = records(KEYS[3], ids), records(KEYS[2], ids)
local own = {}
for i = 1, #ids do
  own[i] = same(leases[i], rest[i]) and holds(leases[i], found[i]) and '1' or '0'
end
return table.concat(own)
