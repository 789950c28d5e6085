-- Stores a value where the fill id is still the one seen (zero: where nothing is readable).
-- KEYS: entry, where the whole entry was laid, if it was. ARGV: fill id seen, the whole entry, its life in ms, 1 to unlink where
-- refused. Returns {1 or 0, now}.
local key, seen = KEYS[1], ARGV[1]
local now = now_ms()
local entry = open(key)
local current = NOBODY
if readable(entry, now) then
  current = entry.fill
end
if current ~= seen then
  leave()
elseif store(key, ARGV[2], ARGV[3]) then
  return {1, now}
end
if ARGV[4] == '1' then
  redis.call('UNLINK', key)
end
return {0, now}
