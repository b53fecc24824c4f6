-- take from a stream: copies the tasks of entries that its group was not given before into a batch, and acknowledges
-- these entries, whole or not at all.
--
-- KEYS  1 stream  2 batch  3 hash of batches
-- ARGV  1 batch's id  2 queue  3 most tasks  4 most bytes, about  5 most bytes in a task  6 group
-- Returns  {tasks of the batch, refused now, 1 when there may be more}
--
-- A batch never changes once it is there: taken again under its id it is only counted. It is named before the first task
-- comes into it: what was done by a script that fails stays done, and a batch without a name would never be found. What is refused stays pending in
-- the group, for a person to look at.

local AT_ONCE = 16

local function task_of(fields)
  for at = 1, #fields, 2 do
    if fields[at] == 'task' then
      return fields[at + 1]
    end
  end
  return #fields == 2 and fields[2]
end

local tasks = redis.call('LLEN', KEYS[2])
local refused, more = 0, 0
if tasks == 0 then
  local most, room, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
  while true do
    if tasks >= most or refused >= most or room <= 0 then
      more = 1
      break
    end
    local count = math.min(AT_ONCE, most - tasks)
    local given = redis.call('XREADGROUP', 'GROUP', ARGV[6], 'submitter', 'COUNT', count, 'STREAMS', KEYS[1], '>')
    if not given then
      break
    end
    for _, entry in ipairs(given[1][2]) do
      local task = task_of(entry[2])
      if task and #task <= longest then
        if tasks == 0 then
          redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
        end
        redis.call('RPUSH', KEYS[2], task)
        redis.call('XACK', KEYS[1], ARGV[6], entry[1])
        tasks = tasks + 1
        room = room - #task
      else
        refused = refused + 1
      end
    end
  end
end
return { tasks, refused, more }
