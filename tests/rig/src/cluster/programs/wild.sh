# Runs tasks as they say: a program for one task on standard input (command), or one that stays (worker). Each execution
# is noted in a line of $RIG_EXECUTIONS. Processes that are left behind are found by that variable.

work() {
    printf '%s\n' "$payload" >>"$RIG_EXECUTIONS"
    tag=${payload##* }
    case $payload in
    'flaky '*) if [ "$attempt" -lt 2 ]; then stumble; else answer "$tag"; fi ;;
    'stumble '*) stumble ;;
    'refuse '*) refuse ;;
    'stall '*) sleep 1000 & sleep 1000 ;;
    'stubborn '*) trap '' TERM && sleep 1000 ;;
    'flood '*) head -c 100000 /dev/zero | tr '\0' x ;;
    'crash '*) kill -KILL $$ ;;
    'orphan '*) sleep 1000 & answer "$tag" ;;
    'babble '*) babble ;;
    'sleep '*) rest=${payload#sleep } && sleep "$(printf '0.%03d' "${rest%% *}")" && answer slept ;;
    *) answer "$tag" ;;
    esac
}

case $1 in
command)
    answer() { printf '%s\n' "$1"; }
    stumble() { echo 'it stumbled' >&2 && exit 3; }
    refuse() { exit 77; }
    babble() { stumble; }
    attempt=$DISTJOB_ATTEMPT
    # There is no newline at the end of it.
    IFS= read -r payload
    work
    ;;
worker)
    answer() { printf '{"id":%s,"value":"%s"}\n' "$id" "$1"; }
    stumble() { printf '{"id":%s,"error":"it stumbled"}\n' "$id"; }
    refuse() { printf '{"id":%s,"error":"refused","final":true}\n' "$id"; }
    babble() { echo 'this is no reply'; }
    while IFS= read -r line; do
        id=${line#'{"id":'} id=${id%%,*}
        attempt=${line##*'"attempt":'} attempt=${attempt%%,*}
        payload=${line##*'"payload":"'} payload=${payload%'"}'}
        work
    done
    ;;
esac
