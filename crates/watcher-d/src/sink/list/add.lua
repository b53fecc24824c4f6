#!lua
-- See script.rs for what is called with what.
local expected, most, remember = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local from, field, job = tonumber(ARGV[4]), ARGV[5], ARGV[6]

local found = redis.call('TYPE', KEYS[1]).ok
if found ~= 'none' and found ~= expected then
  error({ err = 'ERR distjob: there is a ' .. found .. ', and no ' .. expected })
end
local there = tonumber(redis.call('GET', KEYS[2]) or '0')
if from > there then
  -- It was forgotten: with the entries before these nobody can tell.
  error({ err = 'ERR distjob: what was there of the result is not remembered any more' })
end

local upto = from + #ARGV - 6
for place = there, upto - 1 do
  local entry = ARGV[7 + place - from]
  if expected == 'list' then
    redis.call('RPUSH', KEYS[1], entry)
  elseif most > 0 then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'job', job, field, entry)
  else
    redis.call('XADD', KEYS[1], '*', 'job', job, field, entry)
  end
end
if expected == 'list' and most > 0 then
  redis.call('LTRIM', KEYS[1], -most, -1)
end
there = math.max(there, upto)
redis.call('SET', KEYS[2], string.format('%.0f', there), 'EX', remember)
return there
