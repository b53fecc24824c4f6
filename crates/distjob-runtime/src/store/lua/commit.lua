-- commit: records the outcomes of the first tasks of a lease, and shrinks or ends the lease.
--
-- It takes effect only while H has a lease that begins at lo: that is the fence. A second delivery finds the lease
-- begin later, or not at all, and so does one that comes after the range was given to somebody else.
--
-- KEYS  1 meta  2 leases  3 results
-- ARGV  1 J  2 H  3 lo  4 upto  5 how many of them failed  6 packed outcomes
-- Returns  {'ok', committed, n, leases of H, 'open'}
--          {'refused', committed, n, leases of H, 'open'}
--          {'refused', '0', '0', '', 'absent' | 'stale' | 'gone'}

local life, holder = arg_life(1), arg_holder(2)
local lo, upto = arg_number(3, 'index'), arg_number(4, 'index')
local failed = arg_number(5, 'number of tasks')
if lo >= upto or failed > upto - lo or #ARGV ~= 6 then
  fail('the outcomes are not those of a run of tasks')
end

local state, meta = standing(KEYS[1], life)
if state ~= 'open' then
  return { 'refused', '0', '0', '', state }
end
if meta.n < 0 or meta.committed < 0 or meta.failed < 0 then
  fail('meta is damaged')
end
redis.call('HLEN', KEYS[3])

local mine = redis.call('HGET', KEYS[2], holder) or ''
local kept, found = {}, false
for _, lease in ipairs(ranges(mine)) do
  local first = lease.lo
  if not found and first == lo and upto <= lease.hi then
    found = true
    first = upto
  end
  if first < lease.hi then
    kept[#kept + 1] = show_range(first, lease.hi, lease.attempts)
  end
end
if not found then
  return { 'refused', show(meta.committed), show(meta.n), mine, 'open' }
end

local leases = table.concat(kept, ',')
if leases == '' then
  redis.call('HDEL', KEYS[2], holder)
else
  redis.call('HSET', KEYS[2], holder, leases)
end
redis.call('HSET', KEYS[3], show(lo), show(upto) .. ':' .. ARGV[6])
local committed = show(meta.committed + upto - lo)
redis.call('HSET', KEYS[1], 'committed', committed, 'failed', show(meta.failed + failed))
return { 'ok', committed, show(meta.n), leases, 'open' }
