-- free: gives back all ranges of a holder, to be leased again after those that wait already.
--
-- KEYS  1 meta  2 leases  3 freed
-- ARGV  1 J  2 H  3 deaths to count on each range: 0 when H itself leaves, 1 with proof that H is dead
-- Returns  {'ok', number of ranges}, which is 0 when H has none or the job is not open in this life

local life, holder = arg_life(1), arg_holder(2)
local deaths = arg_number(3, 'number of deaths', 0, 1)

if standing(KEYS[1], life) ~= 'open' then
  return { 'ok', '0' }
end
redis.call('LLEN', KEYS[3])
local mine = ranges(redis.call('HGET', KEYS[2], holder))
if #mine == 0 then
  return { 'ok', '0' }
end

-- H dies once. Until it hears of that it may claim again and again, and what it claims then must not become suspect.
if deaths == 1 then
  deaths = redis.call('HSETNX', KEYS[1], 'dead:' .. holder, '1')
end
redis.call('HDEL', KEYS[2], holder)
for _, lease in ipairs(mine) do
  redis.call('RPUSH', KEYS[3], show_range(lease.lo, lease.hi, lease.attempts + deaths))
end
return { 'ok', show(#mine) }
