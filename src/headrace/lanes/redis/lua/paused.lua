#!lua flags=allow-oom
-- paused: the queues of which nothing is given out. KEYS[1] meta. ARGV[1] epoch.
local out = {}
for _, field in ipairs(call('HKEYS', KEYS[1])) do
  if sub(field, 1, 7) == 'paused:' then
    out[#out + 1] = sub(field, 8)
  end
end
return out
