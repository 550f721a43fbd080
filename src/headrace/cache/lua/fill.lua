-- Keep what was computed, if the claim still holds, and end it.
-- KEYS: entry, claim. ARGV: token, entry, milliseconds of its life.
-- Returns 1 if it was kept, else 0.
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return 1
