-- Gives a challenge a new e-mail code in place of the old, if the account's limits on sending allow it.
-- KEYS: challenge, times of the account's sends
-- ARGV: now, code's MAC, code's expiry, least ms between sends, most per hour, most per day (0: no limit), unique id of the send
local now, gap, hourMax, dayMax = tonumber(ARGV[1]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - 86400000)
local last = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')[2]
if last and now - tonumber(last) < gap then return {'resend-too-soon', tonumber(last) + gap - now} end
local function within (ms) return redis.call('ZRANGEBYSCORE', KEYS[2], now - ms + 1, '+inf', 'WITHSCORES') end
local hour, day = within(3600000), within(86400000)
if hourMax > 0 and #hour / 2 >= hourMax then return {'email-quota', tonumber(hour[2]) + 3600000 - now} end
if dayMax > 0 and #day / 2 >= dayMax then return {'email-quota', tonumber(day[2]) + 86400000 - now} end
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return {'closed', 0} end
redis.call('HSET', KEYS[1], 'code', ARGV[2], 'code_expires', ARGV[3])
redis.call('ZADD', KEYS[2], now, ARGV[7])
redis.call('PEXPIRE', KEYS[2], 86400000)
return {'sent', 0}
