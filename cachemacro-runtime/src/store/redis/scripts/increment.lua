-- Adds to a decimal entry, exactly: the sum is made by INCRBY and never becomes a Lua number.
-- KEYS: entry. ARGV: what to add, header and stamps of a new entry, its life in ms; then, if anything is known of
-- other stamps: V (an entry with them counts) or O (it counts as missing), and these stamps.
-- Returns {1, now, sum}, {0, now} where a value of another codec is there or the sum does not fit, or {2, now, entry}
-- where a value has stamps of which nothing is known.
local key, by, fresh, known, others = KEYS[1], ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local now = now_ms()
local entry = open(key)

local counts = readable(entry, now)
local whole = counts and redis.call('GET', key)
if counts then
  local stamps = string.sub(whole, 97, entry.body)
  if stamps ~= string.sub(fresh, 97) then
    if stamps ~= others then
      return {2, now, whole}
    end
    counts = known == 'V'
  end
end
if not counts then
  redis.call('SET', key, string.sub(fresh, 1, 84) .. struct.pack('<I4', #by) .. string.sub(fresh, 89) .. by, 'PX', ARGV[3])
  return {1, now, by}
end
if entry.codec ~= 255 then
  return {0, now}
end

redis.call('SET', key, string.sub(whole, entry.body + 1), 'KEEPTTL')
local sum = redis.pcall('INCRBY', key, by)
if type(sum) == 'table' then
  redis.call('SET', key, whole, 'KEEPTTL')
  if not string.find(sum.err, 'overflow', 1, true) and not string.find(sum.err, 'integer', 1, true) then
    redis.call('INCRBY', key, by)
  end
  return {0, now}
end
sum = redis.call('GET', key)
redis.call('SET', key,
  string.sub(whole, 1, 5) .. string.char(bit.band(entry.flags, 253)) .. string.sub(whole, 7, 8)
  .. string.sub(fresh, 9, 16) .. NOBODY .. NOBODY .. string.sub(whole, 33, 84)
  .. struct.pack('<I4', #sum) .. string.sub(whole, 89, entry.body) .. sum,
  'KEEPTTL')
return {1, now, sum}
