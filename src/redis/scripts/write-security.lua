-- Changes an account's security, spends the token that pays for it and logs it: all or nothing.
-- KEYS: account security, spent token, security log, enrolment, ids of open challenges, accounts to look at again
-- ARGV: plan as JSON: token {jti, seconds, version}, expect {field: value, '' for none}, set {field: value}, remove [field],
--   raise (the security version), open {field: value} and keep_until (epoch ms) for an enrolment, close (an open enrolment),
--   due {at (epoch ms), member} for a later look; log entries
local plan = cjson.decode(ARGV[1])
local version = redis.call('HGET', KEYS[1], 'version') or '0'
if plan.token then
  if redis.call('EXISTS', KEYS[2]) == 1 then return 'spent' end
  if version ~= plan.token.version then return 'superseded' end
end
if plan.close and redis.call('HGET', KEYS[4], 'state') ~= 'open' then return 'closed' end
for field, value in pairs(plan.expect) do
  if (redis.call('HGET', KEYS[1], field) or '') ~= value then return 'conflict' end
end

for _, field in ipairs(plan.remove) do redis.call('HDEL', KEYS[1], field) end
for field, value in pairs(plan.set) do redis.call('HSET', KEYS[1], field, value) end
if plan.raise then
  redis.call('HINCRBY', KEYS[1], 'version', 1)
  redis.call('DEL', KEYS[5]) -- None of them can be met any more.
end
if plan.due then redis.call('ZADD', KEYS[6], string.format('%.0f', plan.due.at), plan.due.member) end
if plan.open then
  for field, value in pairs(plan.open) do redis.call('HSET', KEYS[4], field, value) end
  redis.call('PEXPIREAT', KEYS[4], string.format('%.0f', plan.keep_until))
end
if plan.close then
  redis.call('HSET', KEYS[4], 'state', 'confirmed')
  redis.call('HDEL', KEYS[4], 'enrolment')
end
if plan.token then redis.call('SET', KEYS[2], '1', 'EX', plan.token.seconds) end
for i = 2, #ARGV do redis.call('XADD', KEYS[3], '*', 'entry', ARGV[i]) end
return 'written'
