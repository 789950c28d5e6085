-- Captures versions, then asks for the lease of an entry. Where the versions were captured before, their stamps are handed over
-- instead: what is decided here does not rely on its being one step.
-- KEYS: entry, then versions. ARGV: token, fill id seen, kind (L load, P put), life of the lease in ms, time after which
-- the request is refused (0: none), token to take over from (zero: nobody's), bytes of an entry that the reply may carry, stamps of
-- what was captured before; then, of the versions: life that each must have left at least, in ms (0: not looked at), life to give, how
-- many are those of tags, the hashes of these tags, a random version for each.
-- Returns {1, now, versions} taken, {2, now, versions[, entry]} found (without the entry where that is too large for the reply),
-- {3, now, versions, ms left[, token]} busy (the token where the holder captured other versions), {4, now} too late.
local key, token, seen, kind, live = KEYS[1], ARGV[1], ARGV[2], ARGV[3], math.min(tonumber(ARGV[4]), LONGEST_LEASE)
local not_after, over, most = tonumber(ARGV[5]), ARGV[6], tonumber(ARGV[7])
local now = now_ms()
if not_after ~= 0 and now > not_after then
  -- G9: its caller may have given it up, and waits until now to give back what it was granted.
  return {4, now}
end

-- G1: versions first, so that an evict of a tag from here on is seen by what is stored under this lease.
local versions, stamps = {}, ARGV[8]
local count = #KEYS - 1
if count > 0 then
  local life, give, known, hashes, fresh = tonumber(ARGV[9]), ARGV[10], tonumber(ARGV[11]), ARGV[12], ARGV[13]
  versions = capture(2, function(i)
    return string.sub(fresh, 8 * i - 7, 8 * i), life, give
  end)
  if known < 1024 then
    stamps = captured_stamps(versions, known, hashes)
  end
end
local told = table.concat(versions)

local entry = open(key)
local value = readable(entry, now)
-- Whether the header carries another version of a tag, or of any tag, than was captured.
local tag_outdated, any_outdated = false, false
if kind == 'L' and entry ~= nil and entry.body > 96 and stamps ~= '' then
  local carried = string.sub(entry.head, 97, entry.body)
  if entry.body > #entry.head then
    carried = redis.call('GETRANGE', key, 96, entry.body - 1)
  end
  tag_outdated, any_outdated = outdated(carried, stamps)
end
-- Captured after it was read, so nobody can use it, nor what who holds its lease may store.
local unreadable = value and tag_outdated
local taken_over = false

if kind ~= 'P' then
  -- G1: what was stored since the caller looked is newer than what it saw.
  if value and entry.fill ~= seen then
    if redis.call('STRLEN', key) > most then
      return {2, now, told}
    end
    return {2, now, told, redis.call('GET', key)}
  end
  if leased(entry, now) then
    -- Not by its first capture, which may be older than the holder's.
    taken_over = (tag_outdated or any_outdated) and entry.token == over
    -- G5: one storable load at a time.
    if not (entry.put or unreadable or taken_over) then
      if tag_outdated or any_outdated then
        return {3, now, told, entry.deadline - now, entry.token}
      end
      return {3, now, told, entry.deadline - now}
    end
  end
end

local put = 0
if kind == 'P' then
  put = 2
end
local deadline = struct.pack('<I8', now + live)
if value and not unreadable then
  -- In place: the value stays readable while its successor is made.
  redis.call('SETRANGE', key, 5, string.char(bit.bor(bit.band(entry.flags, 253), put)))
  redis.call('SETRANGE', key, 16, token .. deadline)
  raise_expiry(key, live)
else
  if taken_over and not tag_outdated then
    -- Any tag's evict justifies one takeover: where tags are evicted all the time, each load would be overtaken. Its stamp is the
    -- last one.
    stamps = string.sub(stamps, 1, -17)
  end
  local pending = 'cmac\1' .. string.char(1 + put) .. '\0\0' .. NOBODY .. token .. deadline .. string.rep('\0', 22)
    .. struct.pack('<I2', #stamps / 16) .. string.rep('\0', 40) .. stamps
  redis.call('SET', key, pending, 'PX', live)
end
return {1, now, told}
