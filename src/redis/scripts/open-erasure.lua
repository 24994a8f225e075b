#!lua flags=allow-oom
-- Runs on a Redis that is full as well: a denial may open one, and the ledger waits for it.
-- Opens an erasure, with the tombstone of its subject and the token that pays for it: all or nothing.
-- KEYS: erasure, erasures that are open, record, spent token, account security
-- ARGV: erasure, its entry among the open ones, new record or '' for no tombstone, head and erasure time of the record it
--   replaces, token id or '', how long its mark stays (s), its security version
local token = ARGV[6]
if token ~= '' then
  if redis.call('EXISTS', KEYS[4]) == 1 then return 'spent' end
  if (redis.call('HGET', KEYS[5], 'version') or '0') ~= ARGV[8] then return 'superseded' end
end
if ARGV[3] ~= '' then
  local text = redis.call('GET', KEYS[3])
  local current = text and cjson.decode(text) or { head = '' }
  if current.head ~= ARGV[4] or (current.era or 0) ~= tonumber(ARGV[5]) then return 'conflict' end
  redis.call('SET', KEYS[3], ARGV[3])
end
if token ~= '' then redis.call('SET', KEYS[4], '1', 'EX', ARGV[7]) end
if redis.call('HSETNX', KEYS[1], 'erasure', ARGV[1]) == 1 then redis.call('XADD', KEYS[2], '*', 'entry', ARGV[2]) end
return 'written'
