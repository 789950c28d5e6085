-- Removes entries, pending ones too. A script, because a transaction is refused where memory is full.
-- KEYS: entries. Returns {{1 or 0 per key: whether a readable value was there}, now}.
local now = now_ms()
local existed = {}
for i, key in ipairs(KEYS) do
  existed[i] = readable(open(key), now) and 1 or 0
  redis.call('UNLINK', key)
end
return {existed, now}
