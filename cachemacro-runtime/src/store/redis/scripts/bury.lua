-- Finishes an item and puts it aside, unless it was finished before.
-- KEYS: stream, what was put aside. ARGV: group, id, origin, payload, why, how many are kept.
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[6], '*', 'i', ARGV[2], 'o', ARGV[3], 'p', ARGV[4], 'w', ARGV[5])
return 1
