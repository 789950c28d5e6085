-- Takes or keeps the lease of a partition. KEYS: owner, counts. ARGV: token, milliseconds.
-- Returns {1, fence}, or {0, milliseconds that another has left}.
local held = redis.call('GET', KEYS[1])
if held then
  local token, fence = string.match(held, '^(%S+) (%d+)$')
  if token ~= ARGV[1] then return {0, tostring(redis.call('PTTL', KEYS[1]))} end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return {1, fence}
end
local time = redis.call('TIME')
local fence = math.max(time[1] * 1000000 + time[2], tonumber(redis.call('HGET', KEYS[2], 'f') or 0) + 1)
fence = string.format('%.0f', fence)
redis.call('HSET', KEYS[2], 'f', fence)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. fence, 'PX', ARGV[2])
return {1, fence}
