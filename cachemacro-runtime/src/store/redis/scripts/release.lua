-- Gives a held lease back: a pending entry goes, a value stays.
-- KEYS: entry. ARGV: token, 1 to tell the time. Returns a verdict.
local key, token = KEYS[1], ARGV[1]
local entry = open(key)
if not holds(entry, token) then
  return verdict(0)
end
give_back(key, entry)
return verdict(1, ARGV[2])
