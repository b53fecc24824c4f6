-- status: what a watcher decides by.
--
-- KEYS  1 meta  2 tasks  3 leases  4 freed  5 source list
-- ARGV  1 J  2 n, as the ledger has it
-- Returns  {'open', committed, failed, cursor, whole}  whole is 1 when there are n tasks and the committed, leased and
--                                                      freed ones are as many as the cursor has passed
--          {'gone'} {'stale'}
--          {'none', length of the source list}

local life = arg_life(1)
local n = arg_number(2, 'number of tasks')

local state, meta = standing(KEYS[1], life)
if state == 'absent' then
  return { 'none', show(list_length(KEYS[5])) }
elseif state ~= 'open' then
  return { state }
end

local held = 0
for _, leases in ipairs(redis.call('HVALS', KEYS[3])) do
  local _, total = ranges(leases)
  held = held + total
end
for _, range in ipairs(redis.call('LRANGE', KEYS[4], 0, -1)) do
  local _, total = ranges(range)
  held = held + total
end
local sound = meta.n == n and redis.call('LLEN', KEYS[2]) == n and meta.failed >= 0 and meta.committed >= 0
  and meta.committed + held == meta.cursor
return {
  'open',
  show(math.max(meta.committed, 0)),
  show(math.max(meta.failed, 0)),
  show(math.max(meta.cursor, 0)),
  sound and '1' or '0',
}
