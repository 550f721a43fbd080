-- Be the one who computes a value, unless there is one or somebody is.
-- KEYS: version, entry, claim. ARGV: token, milliseconds of the claim, milliseconds that are early.
-- Returns 1 if the claim is ours, else 0.
local version = redis.call('GET', KEYS[1])
local entry = redis.call('GET', KEYS[2])
if version and entry and string.sub(entry, 1, #version) == version
    and redis.call('PTTL', KEYS[2]) > tonumber(ARGV[3]) then
  return 0
end
if redis.call('SET', KEYS[3], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
return 0
