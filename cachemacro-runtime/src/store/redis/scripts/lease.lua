-- Asks for the lease of an entry.
-- KEYS: entry. ARGV: token, fill id seen, kind (L load, R refresh, P put), life of the lease in ms, bytes that a reply may carry.
-- Returns {1, now} taken, {2, now, entry} found, {2, now} found and too large for the reply, {3, now, ms left} busy.
local key, token, seen, kind, live = KEYS[1], ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local now = now_ms()
local entry = open(key)
local value = readable(entry, now)

if kind ~= 'P' then
  -- G1: what was stored since the caller looked is newer than what it saw.
  if value and entry.fill ~= seen then
    if redis.call('STRLEN', key) > tonumber(ARGV[5]) then
      return {2, now}
    end
    return {2, now, redis.call('GET', key)}
  end
  local live_lease = entry ~= nil and entry.token ~= NOBODY and entry.deadline > now
  -- G5: one storable load at a time.
  if live_lease and (kind == 'R' or not entry.put) then
    return {3, now, entry.deadline - now}
  end
end

local put = 0
if kind == 'P' then
  put = 2
end
local deadline = struct.pack('<I8', now + live)
if value then
  -- In place: the value stays readable while its successor is made.
  redis.call('SETRANGE', key, 5, string.char(bit.bor(bit.band(entry.flags, 253), put)))
  redis.call('SETRANGE', key, 16, token .. deadline)
  raise_expiry(key, live)
else
  local pending = 'cmac\1' .. string.char(1 + put) .. '\0\0' .. NOBODY .. token .. deadline .. string.rep('\0', 64)
  redis.call('SET', key, pending, 'PX', live)
end
return {1, now}
