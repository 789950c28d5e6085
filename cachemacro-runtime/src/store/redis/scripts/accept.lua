-- Accepts a write: into the stream of its partition and the pending writes, in one step.
-- KEYS: stream, counts, pending. ARGV: key, write, how many there may be. Returns {1, number}; {0, number of writes} where it is full.
local count = redis.call('XLEN', KEYS[1])
if count >= tonumber(ARGV[3]) then return {0, tostring(count)} end
local time = redis.call('TIME')
-- By the clock, so that numbers go on rising where all was lost: a ledger may know the old ones.
local number = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('HGET', KEYS[2], 'n') or 0) + 1)
number = string.format('%.0f', number)
redis.call('HSET', KEYS[2], 'n', number)
redis.call('XADD', KEYS[1], number .. '-0', 'k', ARGV[1], 'w', ARGV[2])
redis.call('HSET', KEYS[3], ARGV[1], number .. ' ' .. ARGV[2])
return {1, number}
