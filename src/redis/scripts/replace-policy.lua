-- Puts a policy in the place of the one it was made from, with the entry that tells it.
-- KEYS: policy, outbox of what organisations state
-- ARGV: the policy that was read, the new one ('' for none), entry
local held = redis.call('GET', KEYS[1]) or ''
if held == '{}' then held = '' end -- As a restore wrote it once.
if held ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
redis.call('XADD', KEYS[2], '*', 'entry', ARGV[3])
return 1
