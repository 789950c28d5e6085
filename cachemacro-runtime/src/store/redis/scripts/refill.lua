-- Stores what refreshes a value where that is still there, and under the same lease, held or not (G1).
-- KEYS: entry. ARGV: fill id seen, the whole entry, its life in ms, 1 to unlink where refused, the token seen in the header.
-- Returns {1 or 0, now}.
local key, seen = KEYS[1], ARGV[1]
local now = now_ms()
local entry = open(key)
if entry ~= nil and seen ~= NOBODY and entry.fill == seen and entry.token == ARGV[5] then
  redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
  return {1, now}
end
if ARGV[4] == '1' then
  redis.call('UNLINK', key)
end
return {0, now}
