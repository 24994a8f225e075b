-- Moves a place in a stream forward, never back: another process may be ahead.
-- KEYS: place
-- ARGV: id of an entry of the stream
local function parts (id) return tonumber(string.match(id, '^%d+')), tonumber(string.match(id, '%d+$')) end
local held = redis.call('GET', KEYS[1])
if held then
  local heldMs, heldNumber = parts(held)
  local ms, number = parts(ARGV[1])
  if ms < heldMs or (ms == heldMs and number <= heldNumber) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
