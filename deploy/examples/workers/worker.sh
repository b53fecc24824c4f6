#!/bin/sh
# A worker for executor-d's `worker` handler, in shell: the SHA-256 of each task. JSON needs jq.
#
#     [queues.hashes]
#     handler = "worker"
#     [queues.hashes.worker]
#     argv = ["/bin/sh", "/opt/distjob/worker.sh"]
#
# Put your own work into handle(). Each line of standard input is a request, each line of standard output a reply; the
# end of the input is the end of the program. One jq takes the requests apart and one makes the replies, so that none
# has to be started for a task. Where that is all you need, `handler = "command"` is simpler: the task stands on
# standard input as it is.

# A task from standard input to standard output. Another exit status than 0 makes this attempt fail; what goes to
# standard error is kept with it. A value may not hold NUL bytes, and newlines at its end are cut.
handle() {
    sha256sum | cut -d ' ' -f 1
}

# A payload is a string, or base64 where it is no text; here it becomes base64 in any case. The other fields are .index,
# .job, .queue, .attempt and .key.
jq --unbuffered -r '"\(.id) \(.payload_base64 // (.payload | @base64))"' |
    while read -r id payload; do
        if value=$(printf '%s' "$payload" | base64 -d | handle); then
            echo "$id value $(printf '%s' "$value" | base64 -w 0)"
        else
            echo "$id error $?"
        fi
    done |
    jq --unbuffered -Rc 'split(" ") as [$id, $kind, $rest] | {id: ($id | tonumber)} +
        if $kind == "value" then {value_base64: $rest} else {error: "exit status \($rest)"} end'
