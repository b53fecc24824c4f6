-- staged: the next tasks of a list that was not opened.
--
-- KEYS  1 in-list
-- ARGV  1 from  2 most tasks
-- Returns  {'ok', run…}  fewer tasks than asked for where they are large, and none only at the end of the list, or
--                        when there is no such list

local from = arg_number(1, 'index')
local most = arg_number(2, 'number of tasks')

local reply = { 'ok' }
local upto = math.min(from + most, list_length(KEYS[1]))
append(reply, (payloads(KEYS[1], from, upto, STAGED_BYTES_MAX)))
return reply
