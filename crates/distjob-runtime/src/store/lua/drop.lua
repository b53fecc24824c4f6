-- drop: leaves nothing of a job but a tombstone, which tells late messages that it is gone.
--
-- KEYS  1 meta  2 tasks  3 leases  4 freed  5 results  6 source list
-- ARGV  1 J  2 source  3 time to live of the tombstone in seconds
-- Returns  {'dropped'}
--          {'stale'}  a later life of the id is known; nothing changed

local life = arg_life(1)
local source = arg_source(2)
local ttl = arg_number(3, 'time to live', 1, TTL_S_MAX)

local state = standing(KEYS[1], life)
if state == 'stale' then
  return { 'stale' }
end
-- A job that was never opened in this life still has its list, and a plain one would stay for ever. A job that was
-- opened has consumed it: a list that stands there now belongs to somebody newer. What is no list is none of ours.
if state == 'absent' and list_length(KEYS[6]) > 0 then
  redis.call('UNLINK', KEYS[6])
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[1], 'J', life, 'state', 'gone', 'source', source)
redis.call('EXPIRE', KEYS[1], ttl)
return { 'dropped' }
