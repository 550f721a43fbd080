#!lua flags=allow-oom
-- leased: which of these ids some worker holds.
-- KEYS[1] meta, [2] jobs, then held:WORKER of each worker.
-- ARGV[1] epoch, [2] ids(16 each). Returns a 1 or 0 for each id.
local ids = {}
for at = 1, #ARGV[2], 16 do
  ids[#ids + 1] = sub(ARGV[2], at, at + 15)
end
local found, out = records(KEYS[2], ids), {}
for i = 1, #ids do
  out[i] = '0'
end
for at = 3, #KEYS do
  for i, lease in ipairs(records(KEYS[at], ids)) do
    if holds(lease, found[i]) then
      out[i] = '1'
    end
  end
end
return table.concat(out)
