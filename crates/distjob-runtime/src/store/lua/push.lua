-- push: appends tasks to the list of one submission attempt.
--
-- KEYS  1 in-list  2 meta
-- ARGV  1 source  2 offset: tasks that were pushed before these  3 time to live in seconds  4… tasks
-- Returns  {'opened'}       the job was opened from this list
--          {'ok', length}   the tasks are there; with none at all the list is kept alive
--          {'gap', length}  the list is shorter than offset: it expired, or a batch is missing

local source = arg_source(1)
local offset = arg_number(2, 'offset')
local ttl = arg_number(3, 'time to live', 1, TTL_S_MAX)
local count = #ARGV - 3
if source == '' then
  fail('a plain list is not pushed through here')
end

if redis.call('HGET', KEYS[2], 'source') == source then
  return { 'opened' }
end

local length = redis.call('LLEN', KEYS[1])
if length == offset then
  for first = 4, #ARGV, UNPACK_MAX do
    length = redis.call('RPUSH', KEYS[1], unpack(ARGV, first, math.min(first + UNPACK_MAX - 1, #ARGV)))
  end
elseif length < offset + count then
  return { 'gap', show(length) }
end
redis.call('EXPIRE', KEYS[1], ttl)
return { 'ok', show(length) }
