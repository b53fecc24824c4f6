#!/bin/sh
# Submits jobs and waits for them, with redis-cli and ZooKeeper's zkCli.sh.
#
#     seq 1 1000 | sh distjob-client.sh submit primes [ID]    prints the id
#     sh distjob-client.sh wait ID                            prints the conclusion
#
# Each line of standard input is a task, without NUL bytes. Submitting again under the same ID makes no second job, so
# repeat what failed, with the same ID; but not at the same time: zkCli.sh takes a second to start, and a job that was
# submitted elsewhere, done and gone within that second goes unseen. `submit` returns when the job is seen by all; the first
# executor that looks makes its tasks safe, which must happen within a day. The exit status of `wait` is 0 for succeeded,
# 3 for partly failed, else 1.
set -eu

redis=${REDIS_URL:-redis://127.0.0.1:6379/0}
zookeeper=${ZOOKEEPER:-127.0.0.1:2181}
root=${ROOT:-/distjob}
prefix=${PREFIX:-distjob:}
zkcli=${ZKCLI:-/usr/share/zookeeper/bin/zkCli.sh}
attempts=${ATTEMPTS:-20} # with a second between two, when a store is away

store() { redis-cli -e -u "$redis" "$@"; }

# Its exit status says little, and it talks a lot: what counts is what stands in the ledger afterwards.
ledger() { timeout 60 "$zkcli" -server "$zookeeper" "$@" 2>/dev/null || true; }

# What the ledger says of the job, such as subm=5000;queue=primes;from=...; nothing when it is not there.
data() { ledger get "$root/jobs/$id" | grep -E '^(subm|prcd|zpd|uploaded|cncl|lost)=[0-9]+' || true; }

fail() {
    echo "distjob-client: $*" >&2
    exit 1
}

# Repeats a command until it succeeds.
again() {
    left=$attempts
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || fail "gave up"
        sleep 1
    done
}

# All tasks to a list that only this attempt knows. One that failed is left to expire, whatever of it arrives late.
push() {
    token=$(tr -d - </proc/sys/kernel/random/uuid)
    list="$prefix{$id}:in:$token"
    LC_ALL=C awk -v list="$list" '
        # The first with its time to live at once: a connection that breaks between the two would leave a list for ever.
        NR == 1 { printf "*1\r\n$5\r\nMULTI\r\n" }
        { printf "*3\r\n$5\r\nRPUSH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", length(list), list, length($0), $0 }
        NR == 1 { printf "*3\r\n$6\r\nEXPIRE\r\n$%d\r\n%s\r\n$5\r\n86400\r\n*1\r\n$4\r\nEXEC\r\n", length(list), list }
    ' "$tasks" | store --pipe >/dev/null 2>&1 && length=$(store LLEN "$list") && [ "$length" = "$count" ]
}

# Whose the job of this id is: sets `whose` to ours or theirs, or fails when nobody can tell.
create() {
    known=$(store HMGET "$prefix{$id}:meta" state source) || return 1
    case $known in
    *"$token") whose=ours && return 0 ;;
    open* | gone*) whose=theirs && return 0 ;;
    esac
    ledger create "$root/jobs/$id" "subm=$count;queue=$queue;from=$token" >/dev/null
    case $(data) in
    *"from=$token"*) whose=ours ;;
    ?*) whose=theirs ;;
    # Not created, or done and gone already: the store will know.
    '') return 1 ;;
    esac
}

submit() {
    queue=$1
    id=${2:-$(tr -d - </proc/sys/kernel/random/uuid)} # A-Z a-z 0-9 _ -, at most 64
    tasks=$(mktemp)
    trap 'rm -f "$tasks"' EXIT
    cat >"$tasks"
    count=$(awk 'END { print NR }' "$tasks")
    again store PING >/dev/null
    [ "$(store EXISTS "${prefix}ledger")" = 1 ] || fail "no daemon has run with this store and prefix yet"
    again push
    again create
    if [ "$whose" = theirs ]; then
        store UNLINK "$list" >/dev/null
        echo "distjob-client: $id was submitted before" >&2
        return
    fi
    echo "$id"
}

# A tombstone tells for some hours how a job ended. That one is lost, and waits for an operator, only the ledger knows.
wait_for() {
    id=$1
    looks=0
    while :; do
        ending=$(store HMGET "$prefix{$id}:meta" state conclusion | tr '\n' ' ') || ending=
        case $ending in
        'gone succeeded '*) echo succeeded && return 0 ;;
        'gone partly-failed '*) echo partly-failed && return 3 ;;
        gone*) echo "$ending" | cut -d ' ' -f 2 && return 1 ;;
        esac
        if [ $((looks % 30)) = 29 ]; then
            case $(data) in lost=*) echo lost && return 1 ;; esac
        fi
        looks=$((looks + 1))
        sleep 1
    done
}

case ${1-}:$# in
submit:2 | submit:3) shift && submit "$@" ;;
wait:2) wait_for "$2" ;;
*) fail "usage: submit QUEUE [ID] | wait ID" ;;
esac
