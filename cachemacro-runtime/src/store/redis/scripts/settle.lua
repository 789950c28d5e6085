-- Writes were applied, or one is put aside: by the owner alone. They leave the stream, and the pending writes unless something newer is there.
-- KEYS: stream, owner, pending, what was put aside. ARGV: fence, how many numbers, numbers, how many keys, key and number of each; then, where one
-- is put aside: number, key, write, why, how many are kept. Returns 0 where another owns the partition.
local held = redis.call('GET', KEYS[2])
if not held or string.match(held, ' (%d+)$') ~= ARGV[1] then return 0 end
local at, count = 3, tonumber(ARGV[2])
for each = at, at + count - 1 do redis.call('XDEL', KEYS[1], ARGV[each] .. '-0') end
at = at + count
local keys = tonumber(ARGV[at])
for each = at + 1, at + 2 * keys, 2 do
  local pending = redis.call('HGET', KEYS[3], ARGV[each])
  if pending and tonumber(string.match(pending, '^%d+')) <= tonumber(ARGV[each + 1]) then
    redis.call('HDEL', KEYS[3], ARGV[each])
  end
end
at = at + 2 * keys + 1
if ARGV[at] then
  redis.call('XADD', KEYS[4], 'MAXLEN', ARGV[at + 4], '*', 'n', ARGV[at], 'k', ARGV[at + 1], 'w', ARGV[at + 2], 'y', ARGV[at + 3])
end
return 1
