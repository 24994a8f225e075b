-- Logs the lock and the suspension that wrong codes led to, each once, and only while no success has lifted them.
-- KEYS: account security, security log
-- ARGV: end of the lock (epoch ms) or '', its log entry, log entry of the suspension or ''
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'lock_untold') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'lock_untold')
  redis.call('XADD', KEYS[2], '*', 'entry', ARGV[2])
end
if ARGV[3] ~= '' and redis.call('HDEL', KEYS[1], 'suspension_untold') == 1 then redis.call('XADD', KEYS[2], '*', 'entry', ARGV[3]) end
return 'written'
