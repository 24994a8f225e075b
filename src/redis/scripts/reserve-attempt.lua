-- Pays for one look at a code, before the look: the attempt counts as failed until it is said to have succeeded.
-- KEYS: challenge, account security
-- ARGV: now, challenge's expiry, its security version, method, failures of the authenticator that suspend it,
--   then the lock in ms at each fifth failure in a row: the last for every later one
local now = tonumber(ARGV[1])
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return {'unknown'} end
if state ~= 'open' then return {state} end
if now >= tonumber(ARGV[2]) or (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[3] then return {'expired'} end
if tonumber(redis.call('HGET', KEYS[1], 'attempts')) <= 0 then return {'exhausted'} end
if ARGV[4] == 'totp' and redis.call('HGET', KEYS[2], 'suspended') then return {'suspended'} end
local lockedUntil = tonumber(redis.call('HGET', KEYS[2], 'locked_until') or '0')
if lockedUntil > now then return {'locked', lockedUntil - now} end

local remaining = redis.call('HINCRBY', KEYS[1], 'attempts', -1)
local failures = redis.call('HINCRBY', KEYS[2], 'failures', 1)
local lock = 0
if failures % 5 == 0 then lock = tonumber(ARGV[5 + math.min(failures / 5, #ARGV - 5)]) end
if lock > 0 then redis.call('HSET', KEYS[2], 'locked_until', string.format('%.0f', now + lock)) end
local suspended = 0
if ARGV[4] == 'totp' and redis.call('HINCRBY', KEYS[2], 'totp_failures', 1) >= tonumber(ARGV[5]) then
  suspended = 1
  redis.call('HSET', KEYS[2], 'suspended', '1')
end
local code = redis.call('HMGET', KEYS[1], 'code', 'code_expires')
if not code[1] or now >= tonumber(code[2]) then code[1] = '' end
return {'reserved', remaining, code[1], lock, suspended}
