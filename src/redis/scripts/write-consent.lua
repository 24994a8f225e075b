-- Writes a consent record with the ledger entries that tell it and spends the token that pays for it: all or nothing.
-- KEYS: record, ledger outbox, spent token, account security
-- ARGV: head of the record it replaces, new record, token id or '', its lifetime (s), its security version, entries...
local token = ARGV[3]
if token ~= '' then
  if redis.call('EXISTS', KEYS[3]) == 1 then return 'spent' end
  if (redis.call('HGET', KEYS[4], 'version') or '0') ~= ARGV[5] then return 'superseded' end
end
local current = redis.call('GET', KEYS[1])
local head = current and cjson.decode(current).head or ''
if head ~= ARGV[1] then return 'conflict' end
if #ARGV > 5 then
  redis.call('SET', KEYS[1], ARGV[2])
  for i = 6, #ARGV do redis.call('XADD', KEYS[2], '*', 'entry', ARGV[i]) end
end
if token ~= '' then redis.call('SET', KEYS[3], '1', 'EX', ARGV[4]) end
return 'written'
