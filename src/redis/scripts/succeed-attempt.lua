-- Turns a challenge from open to verified and clears the account's failures, if its code is still the one that was looked at.
-- KEYS: challenge, account security, ids of open challenges
-- ARGV: id, MAC of the code that was looked at
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
if (redis.call('HGET', KEYS[1], 'code') or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'state', 'verified')
redis.call('HDEL', KEYS[1], 'code', 'code_expires')
redis.call('HDEL', KEYS[2], 'failures', 'locked_until')
redis.call('ZREM', KEYS[3], ARGV[1])
return 1
