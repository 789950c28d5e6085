-- Makes a group whose first item is the next one, unless it is there; forgets members that have nothing and were not seen for an hour.
-- KEYS: stream, what the group has seen. ARGV: group.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '$', 'MKSTREAM')
if type(made) == 'table' and made.err then
  if not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  for _, told in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local member = {}
    for at = 1, #told, 2 do member[told[at]] = told[at + 1] end
    if member.pending == 0 and member.idle > 3600000 then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], member.name)
    end
  end
  return 0
end
redis.call('UNLINK', KEYS[2])
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then
  redis.call('HSET', KEYS[2], 'o', last[2][2], 'n', string.match(last[1], '^%d+'))
end
return 1
