-- Stands in front of every script. Nothing here writes.
--
-- The scripts keep to these rules:
--   * everything is checked, the types of all keys that will be written included, before the first write: an error
--     after a write would leave half of it;
--   * only KEYS are touched, and payloads and outcomes are never looked into;
--   * a script may run twice, or late: it says what stands, and does nothing a second time (take and release each say
--     what they do instead);
--   * replies are flat lists of strings, a word first. Numbers are formatted here, never by Lua's own rules. Payloads
--     travel packed, many in one string: each by itself would cost more than all else that is done with it;
--   * a zxid is 16 hex digits compared as text, because a number of Lua has 53 bits.

-- TASKS_MAX, TEXT_BYTES_MAX, GRANT_TASKS_MAX, STAGED_BYTES_MAX, FREED_LISTED_MAX, FREED_SCANNED_MAX and PARTS_MAX
-- stand before this text; scripts.rs takes them from distjob-core.
local TTL_S_MAX = 315360000 -- ten years
local UNPACK_MAX = 4000 -- Lua's stack holds 8000

local function fail(what)
  error({ err = 'ERR distjob: ' .. what })
end

local function show(number)
  return string.format('%.0f', number)
end

-- A whole number up to TASKS_MAX, or nil.
local function whole(text)
  if type(text) == 'string' and #text <= 15 and string.find(text, '^%d+$') then
    local number = tonumber(text)
    if number <= TASKS_MAX then
      return number
    end
  end
  return nil
end

local function arg_number(index, what, least, most)
  local number = whole(ARGV[index])
  if not number or number < (least or 0) or number > (most or TASKS_MAX) then
    fail('argument ' .. index .. ' is no ' .. what)
  end
  return number
end

local function arg_range(index)
  local lo, hi = string.match(ARGV[index] or '', '^(%d+):(%d+)$')
  lo, hi = whole(lo), whole(hi)
  if not lo or not hi or lo >= hi then
    fail('argument ' .. index .. ' is no range of tasks')
  end
  return { lo = lo, hi = hi }
end

local function arg_life(index)
  local text = ARGV[index]
  if not text or #text ~= 16 or string.find(text, '[^0-9a-f]') then
    fail('argument ' .. index .. ' is no life of a job')
  end
  return text
end

local function arg_holder(index)
  local text = ARGV[index]
  if not text or #text < 18 or #text > 81 or not string.find(text, '^[0-9a-f]+%.[%w_-]+$') then
    fail('argument ' .. index .. ' is no holder')
  end
  return text
end

local function arg_word(index)
  local text = ARGV[index]
  if not text or #text > 32 or not string.find(text, '^[a-z-]+$') then
    fail('argument ' .. index .. ' is no word')
  end
  return text
end

local function arg_text(index)
  local text = ARGV[index]
  if not text or #text > TEXT_BYTES_MAX then
    fail('argument ' .. index .. ' is no data of a znode')
  end
  return text
end

local function arg_source(index)
  local text = ARGV[index]
  if not text or #text > 64 or string.find(text, '[^%w_-]') then
    fail('argument ' .. index .. ' is no source')
  end
  return text
end

-- 'absent', 'stale', 'gone', or 'open' with n, cursor, committed and failed. A number that cannot be read is -1: it
-- equals no length, so such a job is broken.
local function standing(meta, life)
  local fields = redis.call('HMGET', meta, 'J', 'state', 'n', 'cursor', 'committed', 'failed')
  if not fields[1] or fields[1] < life then
    return 'absent'
  elseif fields[1] > life then
    return 'stale'
  elseif fields[2] ~= 'open' then
    return 'gone'
  end
  return 'open', {
    n = whole(fields[3]) or -1,
    cursor = whole(fields[4]) or -1,
    committed = whole(fields[5]) or -1,
    failed = whole(fields[6]) or -1,
  }
end

-- Nothing is written over counters that cannot be read.
local function check_numbers(meta)
  if meta.n < 0 or meta.committed < 0 or meta.failed < 0 then
    fail('meta is damaged')
  end
end

-- The ranges in `lo:hi:attempts,…` (false or nil: none), and how many tasks they hold.
local function ranges(text)
  local list, total = {}, 0
  for lo, hi, attempts in string.gmatch(text or '', '(%d+):(%d+):(%d+)') do
    local range = { lo = tonumber(lo), hi = tonumber(hi), attempts = tonumber(attempts) }
    list[#list + 1] = range
    total = total + range.hi - range.lo
  end
  return list, total
end

local function show_range(lo, hi, attempts)
  return show(lo) .. ':' .. show(hi) .. ':' .. show(attempts)
end

-- The leases in `text` without the tasks from lo up to hi, and the attempts of the lease that covers these; nil when
-- none does. What lies before and after them stays leased, in the place of that lease. A holder may have hundreds of
-- leases: the others are not written anew.
local function without(text, lo, hi)
  for from, first, last, attempts, past in string.gmatch(text, '()(%d+):(%d+):(%d+)()') do
    first, last, attempts = tonumber(first), tonumber(last), tonumber(attempts)
    if first <= lo and hi <= last then
      local rest = {}
      if first < lo then
        rest[1] = show_range(first, lo, attempts)
      end
      if hi < last then
        rest[#rest + 1] = show_range(hi, last, attempts)
      end
      if #rest == 0 and from > 1 then
        from = from - 1 -- with the comma before it
      elseif #rest == 0 then
        past = past + 1 -- with the one behind it
      end
      return string.sub(text, 1, from - 1) .. table.concat(rest, ',') .. string.sub(text, past), attempts
    end
  end
  return nil
end

local function keep_leases(key, holder, leases)
  if leases == '' then
    redis.call('HDEL', key, holder)
  else
    redis.call('HSET', key, holder, leases)
  end
end

-- The answers of commit and release: of a job that is open, and of one that is not.
local function answer(word, meta, leases)
  return { word, show(meta.committed), show(meta.failed), show(meta.n), leases, 'open' }
end

local function refused_by(standing)
  return { 'refused', '0', '0', '0', '', standing }
end

-- The payloads in `key` from lo up to hi, as many as `most` bytes hold, but one at least: in runs, which are packed
-- lists, and how many there are. They are fetched in growing steps: how large they are is known only when they are there.
local function payloads(key, lo, hi, most)
  local runs, count, bytes, step = {}, 0, 0, 1
  while lo < hi do
    local batch = redis.call('LRANGE', key, lo, math.min(lo + step, hi) - 1)
    for i = 1, #batch do
      bytes = bytes + #batch[i]
      if bytes > most and count + i > 1 then
        batch = { unpack(batch, 1, i - 1) }
        hi = lo
        break
      end
    end
    if #batch > 0 then
      runs[#runs + 1] = cmsgpack.pack(batch)
      count = count + #batch
    end
    lo = lo + step
    step = math.min(step * 4, 1024)
  end
  return runs, count
end

-- How long the list is; 0 for anything that is no list, which is never touched.
local function list_length(key)
  if redis.call('TYPE', key).ok ~= 'list' then
    return 0
  end
  return redis.call('LLEN', key)
end

local function append(list, more)
  for i = 1, #more do
    list[#list + 1] = more[i]
  end
end
