-- Common to scripts that capture versions.
local NO_VERSION = string.rep('\0', 8)

-- The versions under the keys, from this one on, made where they are missing: none comes back (G1). None is ever shortened.
-- `given` tells for each, counted from one, the version to make, the life that it must have left at least, in ms (0: not looked
-- at), and the life to give.
local function capture(from, given)
  local versions, made = {}, {}
  for first = from, #KEYS, 1000 do
    for i, version in ipairs(redis.call('MGET', unpack(KEYS, first, math.min(first + 999, #KEYS)))) do
      local key, at = KEYS[first + i - 1], first + i - from
      local fresh, life, give = given(at)
      if not version or #version ~= 8 or version == NO_VERSION then
        -- A key may be named twice.
        version = made[key]
        if not version then
          version = fresh
          made[key] = version
          redis.call('SET', key, version, 'PX', give)
        end
      elseif life > 0 then
        local left = redis.call('PTTL', key)
        if left >= 0 and left < life then
          redis.call('PEXPIRE', key, give)
        end
      end
      versions[at] = version
    end
  end
  return versions
end

