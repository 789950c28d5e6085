-- Gives a member items of its group, first those that others have let lie.
-- KEYS: stream, what the group has seen. ARGV: group, member, milliseconds, how many.
-- Returns {how many are missing, 1 where that is all, {{id, tries, fields}, …}}.
local group, member, idle, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local out, missed, exact = {}, 0, 1
local late = redis.pcall('XPENDING', KEYS[1], group, 'IDLE', idle, '-', '+', most)
if late.err then
  if not string.find(late.err, 'NOGROUP', 1, true) then return late end
  -- The stream was lost, or its group: everything that is there is new.
  redis.call('XGROUP', 'CREATE', KEYS[1], group, '0', 'MKSTREAM')
  redis.call('UNLINK', KEYS[2])
  late, exact = {}, 0
end
for _, each in ipairs(late) do
  local item = redis.call('XCLAIM', KEYS[1], group, member, idle, each[1])[1]
  if item and item[2] then
    out[#out + 1] = {item[1], each[4] + 1, item[2]}
  else
    -- It was not kept.
    redis.call('XACK', KEYS[1], group, each[1])
    missed = missed + 1
  end
end
if #out < most then
  local read = redis.call('XREADGROUP', 'GROUP', group, member, 'COUNT', most - #out, 'STREAMS', KEYS[1], '>')
  if read then
    local seen = redis.call('HMGET', KEYS[2], 'o', 'n')
    local origin, number = seen[1], tonumber(seen[2] or 0)
    for _, item in ipairs(read[1][2]) do
      local next, of = tonumber(string.match(item[1], '^%d+')), item[2][2]
      -- Whoever appended it by other means did not say.
      if not tonumber(of) then of = string.format('%.0f', next) end
      if origin == of then
        missed = missed + (next - number - 1)
      else
        if origin then exact = 0 end
        missed = missed + (next - tonumber(of))
      end
      origin, number = of, next
      out[#out + 1] = {item[1], 1, item[2]}
    end
    redis.call('HSET', KEYS[2], 'o', origin, 'n', string.format('%.0f', number))
  end
end
return {missed, exact, out}
