-- Turns a challenge from open to verified, uses up what proved it and clears the account's failures, if what was
-- looked at is still what is held.
-- KEYS: challenge, account security, ids of open challenges, security log
-- ARGV: id, its security version, method, then by method: code's MAC | secret, step, secret sealed anew or '' | slot, hash;
--   padded to six; then log entries
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return 0 end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[2] then return 0 end
if ARGV[3] == 'email' then
  if redis.call('HGET', KEYS[1], 'code') ~= ARGV[4] then return 0 end
elseif ARGV[3] == 'totp' then
  if redis.call('HGET', KEYS[2], 'totp') ~= ARGV[4] then return 0 end
  if tonumber(redis.call('HGET', KEYS[2], 'totp_step')) >= tonumber(ARGV[5]) then return 0 end
  redis.call('HSET', KEYS[2], 'totp_step', ARGV[5])
  redis.call('HDEL', KEYS[2], 'totp_failures', 'suspended')
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], 'totp', ARGV[6]) end
else
  local field = 'backup:' .. ARGV[4]
  if redis.call('HGET', KEYS[2], field) ~= ARGV[5] then return 0 end
  redis.call('HDEL', KEYS[2], field)
end
redis.call('HSET', KEYS[1], 'state', 'verified')
redis.call('HDEL', KEYS[1], 'code', 'code_expires')
redis.call('HDEL', KEYS[2], 'failures', 'locked_until')
redis.call('ZREM', KEYS[3], ARGV[1])
for i = 7, #ARGV do redis.call('XADD', KEYS[4], '*', 'entry', ARGV[i]) end
return 1
