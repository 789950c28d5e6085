-- Gives a held lease back: a pending entry goes, a value stays.
-- KEYS: entry. ARGV: token, 1 to tell the time. Returns a verdict.
local key, token = KEYS[1], ARGV[1]
local entry = open(key)
if not holds(entry, token) then
  return verdict(0)
end
if entry.pending then
  redis.call('UNLINK', key)
else
  redis.call('SETRANGE', key, 5, string.char(bit.band(entry.flags, 253)))
  redis.call('SETRANGE', key, 16, NOBODY .. NOBODY)
end
return verdict(1, ARGV[2])
