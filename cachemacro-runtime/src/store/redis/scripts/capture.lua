-- The versions under the keys, made at random where they are missing: none comes back (G1). None is ever shortened.
-- KEYS: versions. ARGV: three per key: life that it must have left at least, in ms; life to give; a random version.
-- Returns the versions.
local zero = string.rep('\0', 8)
local versions = {}
for i, key in ipairs(KEYS) do
  local life, give = tonumber(ARGV[3 * i - 2]), ARGV[3 * i - 1]
  local version = redis.pcall('GET', key)
  if type(version) ~= 'string' or #version ~= 8 or version == zero then
    version = ARGV[3 * i]
    redis.call('SET', key, version, 'PX', give)
  else
    local left = redis.call('PTTL', key)
    if left >= 0 and left < life then
      redis.call('PEXPIRE', key, give)
    end
  end
  versions[i] = version
end
return versions
