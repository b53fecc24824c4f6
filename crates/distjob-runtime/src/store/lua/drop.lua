-- drop: leaves nothing of a job but a tombstone, which tells late messages that it is gone.
--
-- KEYS  1 meta  2 tasks  3 leases  4 freed  5 results  6 source list
-- ARGV  1 J  2 source  3 time to live of the tombstone in seconds
--       4 number of tasks  5 how many of them failed  6 what the job came to  7 what its znode said last; none of the four
--       when that is not known
-- Returns  {'dropped'}
--          {'stale'}  a later life of the id is known; nothing changed

local life = arg_life(1)
local source = arg_source(2)
local ttl = arg_number(3, 'time to live', 1, TTL_S_MAX)
local ending = {}
if #ARGV > 3 then
  local n = arg_number(4, 'number of tasks')
  local failed = arg_number(5, 'number of tasks', 0, n)
  ending = { 'n', show(n), 'failed', show(failed), 'conclusion', arg_word(6), 'data', arg_text(7) }
end

local state = standing(KEYS[1], life)
if state == 'stale' then
  return { 'stale' }
end
-- A job that was never opened in this life still has its list, and a plain one would stay for ever. A job that was
-- opened has consumed it: a list that stands there now belongs to somebody newer. What is no list is none of ours.
if state == 'absent' and list_length(KEYS[6]) > 0 then
  redis.call('UNLINK', KEYS[6])
end
-- Whoever drops it once more may know less than who dropped it first.
if state == 'gone' and #ending == 0 then
  local told = redis.call('HMGET', KEYS[1], 'n', 'failed', 'conclusion', 'data')
  if told[1] and told[2] and told[3] then
    ending = { 'n', told[1], 'failed', told[2], 'conclusion', told[3], 'data', told[4] or '' }
  end
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[1], 'J', life, 'state', 'gone', 'source', source, unpack(ending))
redis.call('EXPIRE', KEYS[1], ttl)
return { 'dropped' }
