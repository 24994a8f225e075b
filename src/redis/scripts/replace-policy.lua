-- Puts a policy in the place of the one it was made from.
-- KEYS: policy
-- ARGV: the policy that was read or '', the new one
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
