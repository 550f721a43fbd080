#!lua flags=allow-oom
-- move: set a cursor, if it is the old one; what did not fit meanwhile lowers it.
-- KEYS[1] meta, [2] cursors.
-- ARGV[1] epoch, [2] level:queue, [3] old and [4] new: run_at(8) id(16), or empty for none.
-- Returns {1, or 0 if it is another one; where it is now, empty for none}.
local set, spilled = 'c' .. ARGV[2], 's' .. ARGV[2]
local old = call('HGET', KEYS[2], set) or ''
if old ~= ARGV[3] then
  return { 0, old }
end
local new, low = ARGV[4], call('HGET', KEYS[2], spilled)
if low and (new == '' or before(low, new)) then
  new = low
end
call('HDEL', KEYS[2], spilled)
if new == '' then
  call('HDEL', KEYS[2], set)
else
  call('HSET', KEYS[2], set, new)
end
return { 1, new }
