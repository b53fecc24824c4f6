-- commit: records the outcomes of a run of tasks, which leave the lease that covers them.
--
-- It takes effect only while one lease of H covers all of them: that is the fence. A second delivery finds no such
-- lease, and neither does one that comes after the tasks were given to somebody else.
--
-- KEYS  1 meta  2 leases  3 results
-- ARGV  1 J  2 H  3 lo  4 upto  5 how many of them failed  6 packed outcomes
-- Returns  {'ok', committed, failed, n, leases of H, 'open'}
--          {'refused', committed, failed, n, leases of H, 'open'}
--          {'refused', '0', '0', '0', '', 'absent' | 'stale' | 'gone'}

local life, holder = arg_life(1), arg_holder(2)
local lo, upto = arg_number(3, 'index'), arg_number(4, 'index')
local failed = arg_number(5, 'number of tasks')
if lo >= upto or failed > upto - lo or #ARGV ~= 6 then
  fail('the outcomes are not those of a run of tasks')
end

local state, meta = standing(KEYS[1], life)
if state ~= 'open' then
  return refused_by(state)
end
check_numbers(meta)
redis.call('HLEN', KEYS[3])

local mine = redis.call('HGET', KEYS[2], holder) or ''
local left = without(mine, lo, upto)
if not left then
  return answer('refused', meta, mine)
end

keep_leases(KEYS[2], holder, left)
redis.call('HSET', KEYS[3], show(lo), show(upto) .. ':' .. ARGV[6])
meta.committed = meta.committed + upto - lo
meta.failed = meta.failed + failed
redis.call('HSET', KEYS[1], 'committed', show(meta.committed), 'failed', show(meta.failed))
return answer('ok', meta, left)
