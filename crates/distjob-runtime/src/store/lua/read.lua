-- read: the next tasks with their outcomes, in whole commits.
--
-- KEYS  1 meta  2 tasks  3 results
-- ARGV  1 J  2 from: where a commit begins  3 most tasks  4 most bytes, both checked between commits
-- Returns  {'gone'}         the job is not open in this life
--          {'short'}        there are not n tasks
--          {'hole', from}   no outcome begins there
--          {'slice', k, k times: lo, upto, packed, k times a run: the payloads of its tasks}

local life = arg_life(1)
local from = arg_number(2, 'index')
local tasks_max = arg_number(3, 'number of tasks')
local bytes_max = arg_number(4, 'number of bytes')

local state, meta = standing(KEYS[1], life)
if state ~= 'open' then
  return { 'gone' }
elseif redis.call('LLEN', KEYS[2]) ~= meta.n then
  return { 'short' }
end

-- One past the last index of the commit at lo, and its packed outcomes; nil when there is none that makes sense.
local function commit_at(lo)
  local field = redis.call('HGET', KEYS[3], show(lo))
  local colon = field and string.find(field, ':', 1, true)
  local upto = colon and whole(string.sub(field, 1, colon - 1))
  if upto and lo < upto and upto <= meta.n then
    return upto, string.sub(field, colon + 1)
  end
  return nil
end

local reply, runs = { 'slice', '' }, {}
local lo, commits, bytes = from, 0, 0
while commits == 0 or (lo - from < tasks_max and bytes < bytes_max) do
  local upto, packed = commit_at(lo)
  if not upto then
    break
  end
  append(reply, { show(lo), show(upto), packed })
  local batch = redis.call('LRANGE', KEYS[2], lo, upto - 1)
  bytes = bytes + #packed
  for i = 1, #batch do
    bytes = bytes + #batch[i]
  end
  runs[#runs + 1] = cmsgpack.pack(batch)
  lo = upto
  commits = commits + 1
end

if commits == 0 then
  return { 'hole', show(from) }
end
reply[2] = show(commits)
append(reply, runs)
return reply
