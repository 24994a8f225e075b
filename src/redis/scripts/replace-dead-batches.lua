-- Puts batches in the place of those that a job given up holds, or removes it, if it still holds what was read.
-- 1: done; 0: it holds others by now; -1: it is given up no more.
-- KEYS: jobs given up, job
-- ARGV: id of the job, data that was read, data ('' for none)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return -1 end
if redis.call('HGET', KEYS[2], 'data') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('DEL', KEYS[2])
else
  redis.call('HSET', KEYS[2], 'data', ARGV[3])
end
return 1
