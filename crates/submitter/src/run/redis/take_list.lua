-- take from a list: moves tasks from its head into a batch, whole or not at all.
--
-- KEYS  1 list  2 batch  3 hash of batches  4 list of what was refused
-- ARGV  1 batch's id  2 queue  3 most tasks  4 most bytes, unless a single task has more  5 most bytes in a task
-- Returns  {tasks of the batch, refused now, left in the list}
--
-- A batch never changes once it is there: taken again under its id it is only counted. It is named before the first task
-- comes into it: what was done by a script that fails stays done, and a batch without a name would never be found.

local tasks = redis.call('LLEN', KEYS[2])
local refused = 0
if tasks == 0 then
  local most, room, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  while tasks < most and refused < most do
    local task = redis.call('LINDEX', KEYS[1], 0)
    if not task then
      break
    end
    if #task > longest then
      redis.call('LMOVE', KEYS[1], KEYS[4], 'LEFT', 'RIGHT')
      refused = refused + 1
    else
      if tasks > 0 and #task > room then
        break
      end
      if tasks == 0 then
        redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
      end
      redis.call('LMOVE', KEYS[1], KEYS[2], 'LEFT', 'RIGHT')
      room = room - #task
      tasks = tasks + 1
    end
  end
end
return { tasks, refused, redis.call('LLEN', KEYS[1]) }
