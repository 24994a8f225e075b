-- Gives a challenge a new e-mail code in place of the old, if it is still open and the account's limits on sending allow it.
-- KEYS: challenge, times of the account's sends, account security
-- ARGV: now, code's MAC, code's expiry, least ms between sends, most per hour, most per day (0: no limit), unique id of the send,
--   challenge's expiry, its security version
local now, gap, hourMax, dayMax = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local challenge = redis.call('HMGET', KEYS[1], 'state', 'attempts')
if not challenge[1] then return {'unknown', 0} end
if challenge[1] ~= 'open' then return {challenge[1], 0} end
if now >= tonumber(ARGV[8]) or (redis.call('HGET', KEYS[3], 'version') or '0') ~= ARGV[9] then return {'expired', 0} end
if tonumber(challenge[2]) <= 0 then return {'exhausted', 0} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 86400000)
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
if last and now - tonumber(last) < gap then return {'resend-too-soon', tonumber(last) + gap - now} end
local function within (ms) return redis.call('ZRANGEBYSCORE', KEYS[2], now - ms + 1, '+inf', 'WITHSCORES') end
local hour, day = within(3600000), within(86400000)
if hourMax > 0 and #hour / 2 >= hourMax then return {'email-quota', tonumber(hour[2]) + 3600000 - now} end
if dayMax > 0 and #day / 2 >= dayMax then return {'email-quota', tonumber(day[2]) + 86400000 - now} end
redis.call('HSET', KEYS[1], 'code', ARGV[2], 'code_expires', ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[7])
redis.call('PEXPIRE', KEYS[2], 86400000)
return {'sent', 0}
