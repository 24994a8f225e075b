#!lua flags=allow-oom
-- Runs on a Redis that is full as well: a denial must get through, and a choice takes little.
-- Writes a consent record with the ledger entries that tell it and spends the token that pays for it: all or nothing.
-- Without entries nothing is written, and so nothing is paid for; the token must be good all the same.
-- KEYS: record, ledger outbox, spent token, account security, count of the partition's ledger entries
-- ARGV: head and erasure time of the record it replaces, new record, token id or '', how long its mark stays (s), its security
--   version, then per entry: the entry, the state of its choice before it
local token = ARGV[4]
if token ~= '' then
  if redis.call('EXISTS', KEYS[3]) == 1 then return 'spent' end
  if (redis.call('HGET', KEYS[4], 'version') or '0') ~= ARGV[6] then return 'superseded' end
end
local text = redis.call('GET', KEYS[1])
local current = text and cjson.decode(text) or { head = '' }
if current.head ~= ARGV[1] or (current.era or 0) ~= tonumber(ARGV[2]) then return 'conflict' end
if #ARGV > 6 then
  -- The places first: a count that is none ends the script, which takes nothing back.
  local last = redis.call('INCRBY', KEYS[5], (#ARGV - 6) / 2)
  redis.call('SET', KEYS[1], ARGV[3])
  for i = 7, #ARGV, 2 do
    redis.call('XADD', KEYS[2], '*', 'entry', ARGV[i], 'previous', ARGV[i + 1], 'sequence', string.format('%.0f', last - (#ARGV - 1 - i) / 2))
  end
end
if token ~= '' and #ARGV > 6 then redis.call('SET', KEYS[3], '1', 'EX', ARGV[5]) end
return 'written'
