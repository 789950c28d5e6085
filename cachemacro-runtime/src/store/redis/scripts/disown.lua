-- Gives the lease of a partition back. KEYS: owner. ARGV: token.
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^(%S+) ') == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
return 0
