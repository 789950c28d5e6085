-- Gives a held lease back: a pending entry goes, a value stays.
-- KEYS: entry. ARGV: token. Returns {1 or 0, now}.
local key, token = KEYS[1], ARGV[1]
local now = now_ms()
local entry = open(key)
if not holds(entry, token) then
  return {0, now}
end
if entry.pending then
  redis.call('UNLINK', key)
else
  redis.call('SETRANGE', key, 5, string.char(bit.band(entry.flags, 253)))
  redis.call('SETRANGE', key, 16, NOBODY .. NOBODY)
end
return {1, now}
