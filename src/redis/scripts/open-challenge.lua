-- Opens a challenge if the account has not too many open, or opened too many within the hour.
-- KEYS: challenge, ids of open challenges by expiry, ids by opening, account security
-- ARGV: now, id, expiry, kept until (all ms), challenge as JSON, attempts, most open at once, most per hour (0: no limit),
--   where letters go as long as nothing better is known, or ''
local now, openMax, hourMax = tonumber(ARGV[1]), tonumber(ARGV[7]), tonumber(ARGV[8])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - 3600000)
local function oldest (key) return tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2]) end
if openMax > 0 and redis.call('ZCARD', KEYS[2]) >= openMax then return oldest(KEYS[2]) - now end
if hourMax > 0 and redis.call('ZCARD', KEYS[3]) >= hourMax then return oldest(KEYS[3]) + 3600000 - now end
redis.call('HSET', KEYS[1], 'challenge', ARGV[5], 'attempts', ARGV[6], 'state', 'open')
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[2])
redis.call('ZADD', KEYS[3], now, ARGV[2])
redis.call('PEXPIREAT', KEYS[2], ARGV[4])
redis.call('PEXPIREAT', KEYS[3], now + 3600000)
if ARGV[9] ~= '' then redis.call('HSETNX', KEYS[4], 'mail_to', ARGV[9]) end
return 0
