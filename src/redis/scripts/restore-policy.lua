-- Puts back a policy that was lost, or that is older than the one given: the outbox still knows when it took its last.
-- KEYS: policy, outbox of what organisations state
-- ARGV: the policy ('' for none), when it was stated (epoch ms)
local last = 0
if redis.call('EXISTS', KEYS[2]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = tonumber(string.match(info[i + 1], '^%d+')) end
  end
end
if redis.call('EXISTS', KEYS[1]) == 1 and last >= tonumber(ARGV[2]) then return 0 end
if ARGV[1] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[1])
return 1
