-- Captures versions.
-- KEYS: versions. ARGV: three per key: life that it must have left at least, in ms; life to give; a random version.
-- Returns the versions.
return capture(1, function(i)
  return ARGV[3 * i], tonumber(ARGV[3 * i - 2]), ARGV[3 * i - 1]
end)
