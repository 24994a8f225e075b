-- Pays for one look at the code that confirms an authenticator.
-- KEYS: enrolment
-- ARGV: now
local state = redis.call('HMGET', KEYS[1], 'enrolment', 'state', 'attempts', 'expires')
if not state[2] then return {'unknown'} end
if state[2] ~= 'open' then return {state[2]} end
if tonumber(ARGV[1]) >= tonumber(state[4]) then return {'expired'} end
if tonumber(state[3]) <= 0 then return {'exhausted'} end
return {'reserved', redis.call('HINCRBY', KEYS[1], 'attempts', -1), state[1]}
