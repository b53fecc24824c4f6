-- open: makes a source list of exactly n tasks the job of life J.
--
-- KEYS  1 meta  2 tasks  3 leases  4 freed  5 results  6 source list
-- ARGV  1 J  2 n  3 source
-- Returns  {'open'}             the job is open, now or since an earlier delivery
--          {'gone'}             it was dropped
--          {'stale'}            a later life of the id is known
--          {'missing', length}  the source list has not n tasks but this many (0: there is none)

local life = arg_life(1)
local n = arg_number(2, 'number of tasks', 1)
local source = arg_source(3)

local state = standing(KEYS[1], life)
if state ~= 'absent' then
  return { state }
end

local length = list_length(KEYS[6])
if length ~= n then
  return { 'missing', show(length) }
end

-- The leftovers of an older life go first, meta too: a tombstone's time to live would pass on to the new meta.
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('RENAME', KEYS[6], KEYS[2])
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[1], 'J', life, 'state', 'open', 'source', source, 'n', show(n),
  'cursor', '0', 'committed', '0', 'failed', '0')
return { 'open' }
