-- Puts a record in the place of the one it was made from, telling no entry: what tells it is in the ledger already.
-- What stood there may be no record at all, so it is compared as it was read.
-- KEYS: record
-- ARGV: the text it replaces, or '' for none; new record
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
