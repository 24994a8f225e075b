-- Puts a policy in the place of the one it was made from.
-- KEYS: policy
-- ARGV: the policy that was read, the new one; '' for none
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
