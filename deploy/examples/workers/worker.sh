#!/bin/sh
# A worker for executor-d's `worker` handler, in shell: the SHA-256 of each task. JSON needs jq.
#
#     [queues.hashes]
#     handler = "worker"
#     [queues.hashes.worker]
#     argv = ["/bin/sh", "/opt/distjob/worker.sh"]
#
# Put your own work into handle(). Each line of standard input is a request, each line of standard output a reply; the
# end of the input is the end of the program. It starts a handful of processes for each task: when that is too slow,
# the other examples are faster, and so is `handler = "command"`, where the task stands on standard input as it is.
set -eu

# A task from standard input to standard output. Another exit status than 0 makes this attempt fail; what goes to
# standard error is kept with it. A value may not hold NUL bytes, and newlines at its end are cut.
handle() {
    sha256sum | cut -d ' ' -f 1
}

# A payload is a string, or base64 where it is no text.
payload() {
    printf '%s' "$1" | jq -r '.payload_base64 // (.payload | @base64)' | base64 -d
}

while IFS= read -r request; do
    id=$(printf '%s' "$request" | jq .id)
    # The other fields, for programs that handle() starts: jq .index, .job, .attempt, .queue, .key
    status=0
    value=$(payload "$request" | handle) || status=$?
    if [ "$status" -eq 0 ]; then
        printf '%s' "$value" | jq -Rsc --argjson id "$id" '{id: $id, value: .}'
    else
        jq -nc --argjson id "$id" --arg error "exit status $status" '{id: $id, error: $error}'
    fi
done
