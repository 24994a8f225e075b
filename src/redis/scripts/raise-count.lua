-- Raises a partition's count of ledger entries to the least that it must be; what stands there may be no count at all.
-- KEYS: count
-- ARGV: the least
local held = redis.call('GET', KEYS[1]) or '0'
local count = string.match(held, '^%d+$') and tonumber(held)
if not count or count < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
