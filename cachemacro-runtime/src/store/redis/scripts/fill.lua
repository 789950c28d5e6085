-- Stores a value where the lease is still held (G1); a put's that is refused leaves nothing (G4).
-- KEYS: entry. ARGV: token, the whole entry, its life in ms, 1 to unlink where refused, 1 to tell the time. Returns a verdict.
local key, token = KEYS[1], ARGV[1]
if holds(open(key), token) then
  redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
  return verdict(1, ARGV[5])
end
if ARGV[4] == '1' then
  redis.call('UNLINK', key)
end
return verdict(0)
