-- Stores what refreshes a value where that is still there, and under the same lease, held or not (G1).
-- KEYS: entry, where the whole entry was laid, if it was. ARGV: fill id seen, the whole entry, its life in ms, 1 to unlink where
-- refused, 1 to tell the time, the token seen in the header. Returns a verdict.
local key, seen = KEYS[1], ARGV[1]
local entry = open(key)
if entry == nil or seen == NOBODY or entry.fill ~= seen or entry.token ~= ARGV[6] then
  leave()
elseif store(key, ARGV[2], ARGV[3]) then
  return verdict(1, ARGV[5])
end
if ARGV[4] == '1' then
  redis.call('UNLINK', key)
end
return verdict(0)
