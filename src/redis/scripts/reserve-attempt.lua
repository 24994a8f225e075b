-- Pays for one look at a code, before the look: the attempt counts as failed until it is said to have succeeded.
-- A lock or suspension holds from now, and is told of after the look; a process that dies before is made up for later.
-- KEYS: challenge, account security, ids of open challenges, accounts to look at again
-- ARGV: now, id, challenge's expiry, its security version, account, method, failures of the authenticator that suspend it,
--   when to look at the account again (epoch ms), then the lock in ms at each fifth failure in a row: the last for every later one
local now, locks = tonumber(ARGV[1]), 8
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return {'unknown'} end
if state ~= 'open' then return {state} end
if now >= tonumber(ARGV[3]) or (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[4] then return {'expired'} end
if tonumber(redis.call('HGET', KEYS[1], 'attempts')) <= 0 then return {'exhausted'} end
if ARGV[6] == 'totp' and redis.call('HGET', KEYS[2], 'suspended') then return {'suspended'} end
local lockedUntil = tonumber(redis.call('HGET', KEYS[2], 'locked_until') or '0')
if lockedUntil > now then return {'locked', lockedUntil - now} end

local remaining = redis.call('HINCRBY', KEYS[1], 'attempts', -1)
if remaining == 0 then redis.call('ZREM', KEYS[3], ARGV[2]) end
local failures = redis.call('HINCRBY', KEYS[2], 'failures', 1)
local toTell = 0
if failures % 5 == 0 then
  local lockEnd = string.format('%.0f', now + tonumber(ARGV[locks + math.min(failures / 5, #ARGV - locks)]))
  redis.call('HSET', KEYS[2], 'locked_until', lockEnd, 'lock_untold', lockEnd)
  toTell = 1
end
if ARGV[6] == 'totp' and redis.call('HINCRBY', KEYS[2], 'totp_failures', 1) >= tonumber(ARGV[7]) then
  redis.call('HSET', KEYS[2], 'suspended', '1', 'suspension_untold', '1')
  toTell = 1
end
if toTell == 1 then redis.call('ZADD', KEYS[4], ARGV[8], 'failures:' .. ARGV[8] .. ':' .. ARGV[5]) end
local code = redis.call('HMGET', KEYS[1], 'code', 'code_expires')
if not code[1] or now >= tonumber(code[2]) then code[1] = '' end
return {'reserved', remaining, code[1], toTell}
