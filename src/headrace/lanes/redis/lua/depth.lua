#!lua flags=allow-oom
-- depth: how many places a queue has.
-- KEYS[1] meta, [2] delayed, [3...12] ready lists of levels 1 to 10. ARGV[1] epoch.
-- Returns {delayed, ready of level 1, ... 10}.
local out = { call('ZCARD', KEYS[2]) }
for level = 1, 10 do
  out[1 + level] = call('LLEN', KEYS[2 + level])
end
return out
