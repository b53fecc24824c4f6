-- release: gives back a run of tasks, which leave the lease that covers them, to be leased again after those that wait
-- already. Nobody died: their attempts stay as they are.
--
-- It takes effect only while one lease of H covers all of them. A second delivery finds no such lease, unless they were
-- leased to H once more: then they are given back once more, and what H does with them is refused.
--
-- KEYS  1 meta  2 leases  3 freed
-- ARGV  1 J  2 H  3 lo  4 hi
-- Returns  what commit returns

local life, holder = arg_life(1), arg_holder(2)
local lo, hi = arg_number(3, 'index'), arg_number(4, 'index')
if lo >= hi or #ARGV ~= 4 then
  fail('these are no run of tasks')
end

local state, meta = standing(KEYS[1], life)
if state ~= 'open' then
  return refused_by(state)
end
check_numbers(meta)
redis.call('LLEN', KEYS[3])

local mine = redis.call('HGET', KEYS[2], holder) or ''
local left, attempts = without(mine, lo, hi)
if not left then
  return answer('refused', meta, mine)
end

keep_leases(KEYS[2], holder, left)
redis.call('RPUSH', KEYS[3], show_range(lo, hi, attempts))
return answer('ok', meta, left)
