-- Raises a partition's count of ledger entries to the least that it must be.
-- KEYS: count
-- ARGV: the least
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
