-- Stores a value where the lease is still held (G1); a put's that is refused leaves nothing (G4).
-- KEYS: entry. ARGV: token, the whole entry, its life in ms, 1 to unlink where refused. Returns {1 or 0, now}.
local key, token = KEYS[1], ARGV[1]
local now = now_ms()
if holds(open(key), token) then
  redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
  return {1, now}
end
if ARGV[4] == '1' then
  redis.call('UNLINK', key)
end
return {0, now}
