-- Common to scripts that compare captured versions; a stamp is a tag's hash and its version.

-- The stamp of all any-tag versions together goes under this hash.
local ANY_TAG = struct.pack('<I8', 64)

-- The stamps of a pending header: those of the tags, then one for the any-tag versions, whose sum without carry changes with
-- each of them.
local function captured_stamps(versions, known, hashes)
  local stamps = {}
  for i = 1, known do
    stamps[i] = string.sub(hashes, 8 * i - 7, 8 * i) .. versions[i]
  end
  local any = #versions - known
  if any > 0 then
    local low, high = 0, 0
    for i = known + 1, #versions do
      local a, b = struct.unpack('<I4I4', versions[i])
      low, high = bit.bxor(low, a), bit.bxor(high, b)
    end
    stamps[known + 1] = ANY_TAG .. struct.pack('<I4I4', low % 4294967296, high % 4294967296)
  end
  return table.concat(stamps)
end

-- Whether stamps carry other versions than were captured, of a tag and of any tag.
local function outdated(stamps, captured)
  if stamps == captured then
    return false, false
  end
  local versions = {}
  for i = 1, #captured, 16 do
    versions[string.sub(captured, i, i + 7)] = string.sub(captured, i + 8, i + 15)
  end
  local tag, any = false, false
  for i = 1, #stamps, 16 do
    local hash = string.sub(stamps, i, i + 7)
    local version = versions[hash]
    if version and version ~= string.sub(stamps, i + 8, i + 15) then
      if hash == ANY_TAG then
        any = true
      else
        tag = true
      end
    end
  end
  return tag, any
end

