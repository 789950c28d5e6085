-- Forgets a member that has nothing left to finish: with it would go what it has.
-- KEYS: stream. ARGV: group, member.
local has = redis.pcall('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2])
if has.err or #has > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
