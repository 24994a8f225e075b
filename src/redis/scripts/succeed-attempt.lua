-- Turns a challenge from open to verified, uses up what proved it and clears the account's failures, if what was
-- looked at is still what is held: the security version says that of an authenticator, which may be sealed anew meanwhile.
-- Returns how many backup codes are left, or -1 when it is not so.
-- KEYS: challenge, account security, ids of open challenges, security log
-- ARGV: id, its security version, where letters go from now or '', method, then by method: code's MAC | step, secret sealed
--   anew or '' | slot, hash; padded to six; then log entries, that of a backup code told how many are left
if redis.call('HGET', KEYS[1], 'state') ~= 'open' then return -1 end
if (redis.call('HGET', KEYS[2], 'version') or '0') ~= ARGV[2] then return -1 end
local method = ARGV[4]
if method == 'email' then
  if redis.call('HGET', KEYS[1], 'code') ~= ARGV[5] then return -1 end
elseif method == 'totp' then
  local step = redis.call('HGET', KEYS[2], 'totp_step')
  if not step or tonumber(step) >= tonumber(ARGV[5]) then return -1 end
  redis.call('HSET', KEYS[2], 'totp_step', ARGV[5])
  redis.call('HDEL', KEYS[2], 'totp_failures', 'suspended', 'suspension_untold')
  if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], 'totp', ARGV[6]) end
else
  local field = 'backup:' .. ARGV[5]
  if redis.call('HGET', KEYS[2], field) ~= ARGV[6] then return -1 end
  redis.call('HDEL', KEYS[2], field)
end
redis.call('HSET', KEYS[1], 'state', 'verified')
redis.call('HDEL', KEYS[1], 'code', 'code_expires')
redis.call('HDEL', KEYS[2], 'failures', 'locked_until', 'lock_untold')
if ARGV[3] ~= '' then redis.call('HSET', KEYS[2], 'mail_to', ARGV[3]) end
redis.call('ZREM', KEYS[3], ARGV[1])
local remaining = 0
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 7) == 'backup:' then remaining = remaining + 1 end
end
for i = 7, #ARGV do
  local entry = ARGV[i]
  if method == 'backup_code' then
    local event = cjson.decode(entry)
    event.remaining = remaining
    entry = cjson.encode(event)
  end
  redis.call('XADD', KEYS[4], '*', 'entry', entry)
end
return remaining
