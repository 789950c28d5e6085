-- Lets a held lease live on.
-- KEYS: entry. ARGV: token, life from now in ms. Returns {1 or 0, now}.
local key, token, live = KEYS[1], ARGV[1], math.min(tonumber(ARGV[2]), LONGEST_LEASE)
local now = now_ms()
if not holds(open(key), token) then
  return {0, now}
end
redis.call('SETRANGE', key, 24, struct.pack('<I8', now + live))
raise_expiry(key, live)
return {1, now}
