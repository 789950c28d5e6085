-- The usual fill, before anything else is defined: that takes a server longer than all that is done here. The lease of a load that
-- found nothing is held still. Whatever else is there is for what follows, which says the same on the same bytes.
if KEYS[2] == nil then
  local key, token = KEYS[1], ARGV[1]
  local head = redis.pcall('GETRANGE', key, '0', '511')
  -- Nothing but a pending header and its stamps. An error has no length.
  if #head >= 96 and #head < 512 and token ~= '\0\0\0\0\0\0\0\0'
    and string.sub(head, 1, 24) == 'cmac\1\1\0\0\0\0\0\0\0\0\0\0' .. token and string.sub(head, 85, 88) == '\0\0\0\0' then
    local low, high = string.byte(head, 55, 56)
    if #head == 96 + 16 * (low + 256 * high) then
      redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
      if ARGV[5] ~= '1' then
        return {1}
      end
      local time = redis.call('TIME')
      return {1, time[1] * 1000 + math.floor(time[2] / 1000)}
    end
  end
end
