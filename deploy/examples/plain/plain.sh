#!/bin/sh
# Submits a job with nothing but redis-cli and ZooKeeper's zkCli.sh: each argument is a task.
#
#     QUEUE=primes sh plain.sh 17 18 19
#
# prints the id of the job. Its results will be in <directory of the watchers' sink>/primes/<id>.jsonl.
set -eu

redis=${REDIS_URL:-redis://127.0.0.1:6379/0}
zookeeper=${ZOOKEEPER:-127.0.0.1:2181}
jobs=${JOBS:-/distjob/jobs} # <root>/jobs; a daemon that ran once has created it
queue=${QUEUE:-default}
id=${ID:-$(cat /proc/sys/kernel/random/uuid)} # take a fresh one for each attempt: A-Z a-z 0-9 _ -, at most 64
zkcli=${ZKCLI:-/usr/share/zookeeper/bin/zkCli.sh}

# The tasks first, all of them, to a list whose name is the id of the job ...
redis-cli -e -u "$redis" RPUSH "$id" "$@" >/dev/null

# ... then the znode, with their number. From here on the job is seen.
"$zkcli" -server "$zookeeper" create "$jobs/$id" "subm=$#;queue=$queue" >/dev/null

echo "$id"
