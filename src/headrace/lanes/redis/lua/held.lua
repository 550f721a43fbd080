#!lua flags=allow-oom
-- held: what workers hold.
-- KEYS[1] meta, then held:WORKER of each worker. ARGV[1] epoch, [2] how many at most.
-- Returns id(16) gen(4) queue of each.
local out, room = {}, tonumber(ARGV[2])
for at = 2, #KEYS do
  if #out >= room then
    break
  end
  local all = call('HGETALL', KEYS[at])
  for i = 1, #all, 2 do
    if #out < room then
      out[#out + 1] = all[i] .. sub(all[i + 1], 8, 11) .. sub(all[i + 1], 17)
    end
  end
end
return out
