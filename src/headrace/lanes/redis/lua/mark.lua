#!lua flags=allow-oom
-- mark: leave the mark of a ledger, unless one of a higher tide is there.
-- KEYS[1] meta. ARGV[1] epoch, [2] tide, [3] name. Returns now.
local left = call('HGET', KEYS[1], 'mark')
if not left or tonumber(string.match(left, '^%d+')) < tonumber(ARGV[2]) then
  call('HSET', KEYS[1], 'mark', ARGV[2] .. ':' .. ARGV[3])
end
return now
