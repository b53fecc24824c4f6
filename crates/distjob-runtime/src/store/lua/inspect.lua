-- inspect: all that is known of a job, but for payloads and outcomes.
--
-- KEYS  1 meta  2 tasks  3 leases  4 freed  5 results  6 source list
-- ARGV  none
-- Returns  {'none', REST}
--          {'open' | 'gone', J, source, n, cursor, committed, failed, conclusion, what its znode said last, time to
--           live (-1: none), REST}
--          where REST is: number of tasks, number of commits, length of the source list, number of freed ranges, the
--          first of them, then holder and leases by turns

local fields = redis.call('HMGET', KEYS[1], 'J', 'state', 'source', 'n', 'cursor', 'committed', 'failed',
  'conclusion', 'data')
local reply = { 'none' }
if fields[1] then
  reply = { fields[2] == 'open' and 'open' or 'gone', fields[1], fields[3] or '' }
  for i = 4, 7 do
    reply[#reply + 1] = show(whole(fields[i]) or 0)
  end
  reply[#reply + 1] = fields[8] or ''
  reply[#reply + 1] = fields[9] or ''
  reply[#reply + 1] = show(redis.call('TTL', KEYS[1]))
end
append(reply, {
  show(redis.call('LLEN', KEYS[2])),
  show(redis.call('HLEN', KEYS[5])),
  show(list_length(KEYS[6])),
  show(redis.call('LLEN', KEYS[4])),
  table.concat(redis.call('LRANGE', KEYS[4], 0, FREED_LISTED_MAX - 1), ','),
})
append(reply, redis.call('HGETALL', KEYS[3]))
return reply
