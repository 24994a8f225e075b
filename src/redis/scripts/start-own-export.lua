-- Keeps a person's export and spends the token that pays for it: all or nothing.
-- KEYS: export, spent token, account security
-- ARGV: export, its lifetime (ms), token id or '', how long its mark stays (s), its security version
if ARGV[3] ~= '' then
  if redis.call('EXISTS', KEYS[2]) == 1 then return 'spent' end
  if (redis.call('HGET', KEYS[3], 'version') or '0') ~= ARGV[5] then return 'superseded' end
  redis.call('SET', KEYS[2], '1', 'EX', ARGV[4])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'written'
