-- take: takes tokens from a queue's bucket, as many as are wanted and there. Alone among the scripts it does so again
-- when it comes twice: tokens that nobody hears of let fewer tasks begin, never more.
--
-- All is whole numbers: a token has as many parts as the period has µs, and each µs brings as many as the rate has tasks.
--
-- KEYS  1 bucket
-- ARGV  1 tasks of the rate  2 its period in µs  3 tokens in a full bucket  4 want
-- Returns  {'ok', granted, µs until there is one more (0 when all were granted)}

local tasks = arg_number(1, 'number of tasks', 1)
local per = arg_number(2, 'number of µs', 1)
local burst = arg_number(3, 'number of tokens', 1)
local want = arg_number(4, 'number of tokens')
local full = burst * per
if full > PARTS_MAX then
  fail('a bucket holds no ' .. show(burst) .. ' tokens at this rate')
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local kept = redis.call('HMGET', KEYS[1], 'parts', 'per', 'at')
local parts, of, at = tonumber(kept[1] or ''), tonumber(kept[2] or ''), tonumber(kept[3] or '')
if not parts or not of or not at then
  parts = full
else
  if of ~= per then
    parts = math.floor(parts / math.max(of, 1)) * per
  end
  -- A clock that has stepped back brings nothing.
  parts = math.min(full, parts + math.max(0, now - at) * tasks)
end

local granted = math.min(want, math.floor(parts / per))
parts = parts - granted * per
redis.call('HSET', KEYS[1], 'parts', show(parts), 'per', show(per), 'at', show(now))
-- When it is full again it is as good as none.
local full_in_ms = math.ceil((full - parts) / tasks / 1000) + 1000
redis.call('PEXPIRE', KEYS[1], show(math.min(full_in_ms, TTL_S_MAX * 1000)))
local wait = granted < want and math.ceil((per - parts) / tasks) or 0
return { 'ok', show(granted), show(wait) }
