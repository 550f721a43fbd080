#!lua flags=allow-oom
-- limit: set the caps of queues. KEYS[1] meta. ARGV[1] epoch, then queue and cap of each.
-- Returns now.
for i = 2, #ARGV, 2 do
  call('HSET', KEYS[1], 'cap:' .. ARGV[i], ARGV[i + 1])
end
return now
