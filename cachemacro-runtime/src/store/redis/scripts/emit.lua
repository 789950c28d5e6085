-- Appends to a stream, whose items are numbered: id `number-0`, fields `o` (the number of its first item) and `p`.
-- KEYS: stream. ARGV: how many are kept, payload. Returns {origin, number} as text.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local number, origin
if last then
  number = string.format('%.0f', tonumber(string.match(last[1], '^%d+')) + 1)
  origin = tonumber(last[2][2]) and last[2][2] or number
else
  -- A stream that was lost begins anew with a higher number than it ever had: none has a million items a second.
  local time = redis.call('TIME')
  number = string.format('%.0f', time[1] * 1000000 + time[2])
  origin = number
end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], number .. '-0', 'o', origin, 'p', ARGV[2])
return {origin, number}
