# A worker that does what its tasks say. Each reply is written by hand, so that it can be a bad one.
held=
while IFS= read -r line; do
    id=${line#'{"id":'} id=${id%%,*}
    payload=${line##*'"payload":"'} payload=${payload%'"}'}
    word=${payload%% *} rest=${payload#"$word"} rest=${rest# }
    case $word in
    echo) printf '{"id":%s,"value":"%s"}\n' "$id" "$rest" ;;
    pid) printf '{"id":%s,"value":%s}\n' "$id" "$$" ;;
    hold) held=$id ;;
    release) printf '{"id":%s,"value":"second"}\n{"id":%s,"value":"first"}\n' "$id" "$held" ;;
    error) echo "all about it" >&2 && printf '{"id":%s,"error":"%s"}\n' "$id" "$rest" ;;
    exit) echo "bye $rest" >&2 && exit "$rest" ;;
    orphan) sleep 1000 & exit 7 ;;
    die) kill -9 $$ ;;
    hang) echo $$ >>"$rest" && sleep 1000 ;;
    stubborn) trap '' TERM && echo $$ >>"$rest" && while :; do sleep 1; done ;;
    deaf) exec <&- && printf '{"id":%s,"value":"last"}\n' "$id" && sleep 1000 ;;
    dumb) exec >&- && sleep 1000 ;;
    flood) dd if=/dev/zero bs=64k count=64 >&2 2>/dev/null && printf '{"id":%s,"value":"dry"}\n' "$id" ;;
    bulk) dd if=/dev/zero bs=64k count=64 2>/dev/null | tr '\0' x ;;
    torn) printf '{"id":%s,"val' "$id" && exit 1 ;;
    last) printf '{"id":%s,"value":"and gone"}\n' "$id" && exit 0 ;;
    garbage) echo "Loading" ;;
    twice) printf '{"id":%s,"value":1}\n{"id":%s,"value":2}\n' "$id" "$id" ;;
    other) printf '{"id":%s,"value":1}\n' "$((id + 1000))" ;;
    blank) echo ;;
    anonymous) echo '{"value":"nobody"}' ;;
    shape) printf '{"id":%s}\n' "$id" ;;
    esac
done
echo finished >>"$1"
