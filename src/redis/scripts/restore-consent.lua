-- Puts a record in the place of the one it was made from, telling no entry: what tells it is in the ledger already.
-- KEYS: record
-- ARGV: head, revision and erasure time of the record it replaces, new record
local text = redis.call('GET', KEYS[1])
local current = text and cjson.decode(text) or { head = '', rev = 0 }
if current.head ~= ARGV[1] or current.rev ~= tonumber(ARGV[2]) or (current.era or 0) ~= tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[4])
return 1
