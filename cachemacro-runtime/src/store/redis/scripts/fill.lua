-- Stores a value where the lease is still held (G1); a put's that is refused leaves nothing (G4).
-- KEYS: entry, where the whole entry was laid, if it was. ARGV: token, the whole entry, its life in ms, 1 to unlink where refused, 1 to
-- tell the time. Returns a verdict.
local key, token = KEYS[1], ARGV[1]
local entry = open(key)
if not holds(entry, token) then
  leave()
elseif store(key, ARGV[2], ARGV[3]) then
  return verdict(1, ARGV[5])
else
  give_back(key, entry)
end
if ARGV[4] == '1' then
  redis.call('UNLINK', key)
end
return verdict(0)
