-- Common to all scripts that open an entry; offsets are those of header.rs, plus one.
-- Tokens and fill ids are compared as the 8 raw bytes, because Lua's numbers hold 53 bits.
local NOBODY = string.rep('\0', 8)
-- How long a lease lives at most, and how much clocks may differ, in ms.
local LONGEST_LEASE, TOLERANCE = 60000, 10000
-- How much of an entry is read at first: all of a lease that has few stamps, whose length is then known without asking for it.
local FIRST = 512

-- The server's time in milliseconds.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- What a guard decided: 1 or 0, with the server's time where that is asked for or something came between: then the caller's
-- idea of it may be wrong.
local function verdict(is, tell)
  if is == 0 or tell == '1' then
    return {is, now_ms()}
  end
  return {is}
end

-- The fixed part under the key, in pieces; nil where there is nothing or no well-formed entry
-- (another type, foreign bytes, the reserved byte in use, another length than the header says).
local function open(key)
  local head = redis.pcall('GETRANGE', key, 0, FIRST - 1)
  if type(head) == 'table' and not string.find(head.err, 'WRONGTYPE', 1, true) then
    -- A right is lacking, say: it is no entry that is not there.
    redis.call('GETRANGE', key, 0, 95)
  end
  if type(head) ~= 'string' or #head < 96 or string.sub(head, 1, 5) ~= 'cmac\1' or string.byte(head, 8) ~= 0 then
    return nil
  end
  local stamps = struct.unpack('<I2', head, 55)
  local payload = struct.unpack('<I4', head, 85)
  local length = #head
  if length == FIRST then
    length = redis.call('STRLEN', key)
  end
  if stamps > 1024 or length ~= 96 + 16 * stamps + payload then
    return nil
  end
  local flags = string.byte(head, 6)
  return {
    head = head,
    flags = flags,
    pending = bit.band(flags, 1) ~= 0,
    put = bit.band(flags, 2) ~= 0,
    codec = string.byte(head, 7),
    fill = string.sub(head, 9, 16),
    token = string.sub(head, 17, 24),
    deadline = struct.unpack('<I8', head, 25),
    stored = struct.unpack('<I8', head, 57),
    gone = struct.unpack('<I8', head, 73),
    body = 96 + 16 * stamps,
  }
end

local function readable(entry, now)
  return entry ~= nil and not entry.pending and entry.gone > now and entry.stored <= now + TOLERANCE
end

-- G9: a deadline that lies later than that of any lease is of another clock, and keeps nobody waiting.
local function leased(entry, now)
  return entry ~= nil and entry.token ~= NOBODY and entry.deadline > now
    and entry.deadline <= now + LONGEST_LEASE + TOLERANCE
end

local function holds(entry, token)
  return entry ~= nil and token ~= NOBODY and entry.token == token
end

-- Stores an entry, for so many milliseconds: these bytes, or where there is a second key what was laid there, which is moved at no
-- cost for its size. False where nothing is there any more.
local function store(key, bytes, life)
  local beside = KEYS[2]
  if beside == nil then
    redis.call('SET', key, bytes, 'PX', life)
    return true
  end
  local moved = redis.pcall('RENAME', beside, key)
  if moved.err == nil then
    redis.call('PEXPIRE', key, life)
    return true
  end
  -- Nothing is there, or the right to rename is lacking.
  bytes = redis.call('GET', beside)
  if bytes then
    redis.call('SET', key, bytes, 'PX', life)
    redis.call('UNLINK', beside)
  end
  return bytes ~= false
end

-- Takes away what was laid beside the entry, if anything.
local function leave()
  if KEYS[2] then
    redis.call('UNLINK', KEYS[2])
  end
end

-- Gives the lease in the header back: a pending entry goes, a value stays.
local function give_back(key, entry)
  if entry.pending then
    redis.call('UNLINK', key)
  else
    redis.call('SETRANGE', key, 5, string.char(bit.band(entry.flags, 253)))
    redis.call('SETRANGE', key, 16, NOBODY .. NOBODY)
  end
end

-- Lets the key live at least so long; what lives longer stays as it is.
local function raise_expiry(key, millis)
  local left = redis.call('PTTL', key)
  if left >= 0 and left < millis then
    redis.call('PEXPIRE', key, millis)
  end
end

