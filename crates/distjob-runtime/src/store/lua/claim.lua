-- claim: leases tasks to a holder. A lease that the holder does not know of comes back before anything else.
--
-- KEYS  1 meta  2 tasks  3 leases  4 freed
-- ARGV  1 J  2 H  3 want (0: audit)  4 most bytes of payload  5 isolate  6 take (1: suspects, too; 0: leave them)
--       7… lo:hi of each range that H has work on
-- Returns  {'absent'} {'gone'} {'stale'}  the job is not open in this life
--          {'broken'}    the store lost a part of the job
--          {'complete'}  every task is committed
--          {'audited'}   want is 0, and each lease of H lies in one of these ranges
--          {'lease', 'lo:hi:attempts', committed, failed, cursor, n, k, k × holder, run…}  H is one of the holders
--          {'isolated'}  nothing is left but suspects: freed ranges with at least `isolate` attempts (0: never), which
--                        are given out one task at a time, and only to a holder that takes them
--          {'none', committed, n, holder…}  all that is not committed is leased

local life, holder = arg_life(1), arg_holder(2)
local want = math.min(arg_number(3, 'number of tasks'), GRANT_TASKS_MAX)
local bytes_max = arg_number(4, 'number of bytes')
local isolate = arg_number(5, 'number of attempts')
local takes_suspects = arg_number(6, 'answer to whether to take suspects', 0, 1) == 1
local held = {}
for i = 7, #ARGV do
  held[i - 6] = arg_range(i)
end
table.sort(held, function(one, other)
  return one.lo < other.lo
end)
-- So that a range is covered by one of them exactly when it ends before the end of the last that begins before it.
for i = 2, #held do
  held[i].hi = math.max(held[i].hi, held[i - 1].hi)
end

local state, meta = standing(KEYS[1], life)
if state ~= 'open' then
  return { state }
end
local n = meta.n
if redis.call('LLEN', KEYS[2]) ~= n or meta.cursor < 0 or meta.committed < 0 or meta.failed < 0 then
  return { 'broken' }
end
local mine = redis.call('HGET', KEYS[3], holder)

local function grant(lo, hi, attempts, runs)
  local reply = { 'lease', show_range(lo, hi, attempts), show(meta.committed), show(meta.failed),
    show(meta.cursor), show(n) }
  local holders = redis.call('HKEYS', KEYS[3])
  reply[#reply + 1] = show(#holders)
  append(reply, holders)
  append(reply, runs)
  return reply
end

-- Whether one of the ranges that H has work on covers this one. There may be a thousand of either.
local function is_known(lease)
  local first, last = 0, #held
  while first < last do
    local middle = math.ceil((first + last) / 2)
    if held[middle].lo <= lease.lo then
      first = middle
    else
      last = middle - 1
    end
  end
  return first > 0 and lease.hi <= held[first].hi
end

for _, lease in ipairs(ranges(mine)) do
  if not is_known(lease) then
    -- Whole, however large: it was bounded when it was granted.
    return grant(lease.lo, lease.hi, lease.attempts, (payloads(KEYS[2], lease.lo, lease.hi, math.huge)))
  end
end

if meta.committed == n then
  return { 'complete' }
elseif want == 0 then
  return { 'audited' }
end

-- The first freed range that may be given out, as it stands there, or whether there are only suspects.
local from, freed, suspects
for _, text in ipairs(redis.call('LRANGE', KEYS[4], 0, FREED_SCANNED_MAX - 1)) do
  local range = ranges(text)[1]
  if not range or range.lo >= range.hi or range.hi > n then
    return { 'broken' }
  end
  local suspect = isolate > 0 and range.attempts >= isolate
  if not suspect or takes_suspects then
    from, freed = range, text
    want = suspect and 1 or want
    break
  end
  suspects = true
end
if not from and meta.cursor < n then
  from = { lo = meta.cursor, hi = n, attempts = 0 }
elseif not from and suspects then
  return { 'isolated' }
end

if from then
  local runs, count = payloads(KEYS[2], from.lo, math.min(from.lo + want, from.hi), bytes_max)
  local upto = from.lo + count
  if freed then
    redis.call('LREM', KEYS[4], 1, freed)
    if upto < from.hi then
      redis.call('LPUSH', KEYS[4], show_range(upto, from.hi, from.attempts))
    end
  else
    meta.cursor = upto
    redis.call('HSET', KEYS[1], 'cursor', show(upto))
  end
  local lease = show_range(from.lo, upto, from.attempts)
  redis.call('HSET', KEYS[3], holder, mine and (mine .. ',' .. lease) or lease)
  return grant(from.lo, upto, from.attempts, runs)
end

local all = redis.call('HGETALL', KEYS[3])
local reply, leased = { 'none', show(meta.committed), show(n) }, 0
for i = 1, #all, 2 do
  local _, total = ranges(all[i + 1])
  leased = leased + total
  reply[#reply + 1] = all[i]
end
if meta.committed + leased ~= n then
  return { 'broken' }
end
return reply
