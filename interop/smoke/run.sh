#!/usr/bin/env bash
# First contact with real RocketMQ software, in three cases. See README.md.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
jars=$target/interop-smoke
count=10
opens="--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED
       --add-opens=java.base/sun.nio.ch=ALL-UNNAMED
       --add-opens=java.base/java.nio=ALL-UNNAMED
       --add-opens=java.base/java.util=ALL-UNNAMED"

die() { echo "smoke: $*" >&2; exit 2; }

# --- what must be there -------------------------------------------------------------------------

command -v java >/dev/null || die "java is missing: install a JDK 17 (Debian: apt-get install openjdk-17-jdk-headless)"
command -v mvn >/dev/null || die "mvn is missing: install Maven 3.6 or later (Debian: apt-get install maven)"
command -v cargo >/dev/null || die "cargo is missing: install Rust, see https://rustup.rs"
java_version=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
[ "${java_version:-0}" -ge 17 ] || die "Java 17 or later is needed, this is ${java_version:-unknown}"
java --list-modules | grep -q jdk.compiler || die "a JDK is needed, this Java is a runtime without compiler"

fetch() { # fetch client|server: the jars, once
    [ -f "$jars/$1/.complete" ] && return
    echo "smoke: fetching the jars for the $1 from Maven Central (once)"
    rm -rf "${jars:?}/$1"
    mvn -q -B -f "$here/$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$jars/$1" \
        || die "Maven could not fetch the jars for the $1, see above"
    touch "$jars/$1/.complete"
}
fetch client
fetch server
(cd "$root" && cargo build -q -p rmq-mock-namesrv --bin mock-namesrv) || die "mock-namesrv does not build"
(cd "$root" && cargo build -q -p rmq-mock-broker --bin mock-broker) || die "mock-broker does not build"
(cd "$root" && cargo build -q -p rmq-producer --example send) || die "the example send does not build"

# --- a place to work in, and nothing left behind ------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/tmp}/smoke.XXXXXX")
pids=()
stop_all() {
    [ ${#pids[@]} -eq 0 ] && return
    kill "${pids[@]}" 2>/dev/null
    for _ in $(seq 150); do # a real broker takes some seconds to close its store
        kill -0 "${pids[@]}" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "${pids[@]}" 2>/dev/null
    wait "${pids[@]}" 2>/dev/null
    pids=()
}
trap 'stop_all; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

start() { # start LOG COMMAND…: in the background, until stop_all
    local log=$work/$1.log
    shift
    "$@" >"$log" 2>&1 &
    pids+=($!)
}

# Ports below the range from which the kernel takes ports of its own.
port=$((20000 + RANDOM % 9000))
free_port() { # the next free port, into $port
    while port=$((port + 5)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
}

# --- small tools --------------------------------------------------------------------------------

knows_topic() { # knows_topic PORT TOPIC: does the name server there have a route for it?
    local header="{\"code\":105,\"extFields\":{\"topic\":\"$2\"},\"opaque\":1,\"version\":479}"
    local length=${#header}
    (
        exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
        printf '\0\0\0%b\0\0\0%b%s' "\\0$(printf %o $((length + 4)))" "\\0$(printf %o "$length")" "$header" >&3
        grep -aq '"code":0' < <(timeout 1 cat <&3)
    ) 2>/dev/null
}

await_topic() { # await_topic PORT TOPIC SECONDS
    local end=$((SECONDS + $3))
    while [ $SECONDS -lt $end ]; do
        knows_topic "$1" "$2" && return
        sleep 0.5
    done
    echo "no route for $2 within $3 s"
    return 1
}

java_run() { timeout 120 java -Xmx256m -Duser.home="$work" "$@"; }
mqadmin() { java_run -cp "$jars/client/*" org.apache.rocketmq.tools.command.MQAdminStartup "$@" 2>/dev/null; }
export ROCKETMQ_HOME=$work

# --- the cases ----------------------------------------------------------------------------------

start_mocks() {
    free_port; namesrv=$port
    start mock-namesrv "$target/debug/mock-namesrv" --listen "127.0.0.1:$namesrv"
    free_port; broker_a=$port
    start mock-broker-a "$target/debug/mock-broker" --name broker-a --listen "127.0.0.1:$broker_a" --namesrv "127.0.0.1:$namesrv"
    free_port; broker_b=$port
    start mock-broker-b "$target/debug/mock-broker" --name broker-b --listen "127.0.0.1:$broker_b" --namesrv "127.0.0.1:$namesrv"
    await_topic "$namesrv" TBW102 20
}

start_real() {
    free_port; real_namesrv=$port
    printf '%s\n' "listenPort=$real_namesrv" "kvConfigPath=$work/kv.json" >"$work/namesrv.conf"
    # shellcheck disable=SC2086  # the options are several words
    start real-namesrv java -Xms64m -Xmx128m $opens -Duser.home="$work" -cp "$jars/server/*" \
        org.apache.rocketmq.namesrv.NamesrvStartup -c "$work/namesrv.conf"
    free_port; local fast=$port # a broker also listens two below its port
    free_port; real_broker=$port
    [ "$fast" -lt $((real_broker - 2)) ] || free_port
    printf '%s\n' "brokerName=broker-real" "brokerClusterName=DefaultCluster" "brokerId=0" \
        "brokerIP1=127.0.0.1" "listenPort=$real_broker" "haListenPort=$((real_broker + 1))" \
        "namesrvAddr=127.0.0.1:$real_namesrv" "storePathRootDir=$work/store" \
        "storePathCommitLog=$work/store/commitlog" "mappedFileSizeCommitLog=33554432" \
        >"$work/broker.conf"
    # shellcheck disable=SC2086
    start real-broker java -Xms256m -Xmx384m -XX:MaxDirectMemorySize=512m $opens -Duser.home="$work" \
        -cp "$jars/server/*" org.apache.rocketmq.broker.BrokerStartup -c "$work/broker.conf"
    await_topic "$real_namesrv" TBW102 90
}

# The Java producer sends to our mocks: all stored, on both brokers, no place twice.
java_to_mocks() {
    start_mocks || return
    java_run -cp "$jars/client/*" "$here/SmokeProducer.java" "127.0.0.1:$namesrv" TopicTest $count \
        >"$work/java-producer.log" 2>&1 || { echo "the producer failed"; return 1; }
    local sent
    sent=$(grep '^SENT SEND_OK ' "$work/java-producer.log")
    local stored brokers
    stored=$(cut -d' ' -f3-5 <<<"$sent" | sort -u | wc -l)
    brokers=$(cut -d' ' -f3 <<<"$sent" | sort -u | xargs)
    echo "$stored of $count stored on $brokers"
    [ "$stored" -eq $count ] && [ "$brokers" = "broker-a broker-b" ]
}

# Our producer sends to the real broker: its own queues' ends say how many it stored.
rust_to_real() {
    start_real || return
    timeout 60 "$target/debug/examples/send" --namesrv "127.0.0.1:$real_namesrv" --topic TopicTest --count $count \
        >"$work/send.log" 2>&1 || { echo "the example send failed"; return 1; }
    local stored
    stored=$(mqadmin topicStatus -n "127.0.0.1:$real_namesrv" -t TopicTest \
        | awk '$1 == "broker-real" { sum += $4 } END { print sum + 0 }')
    echo "$stored of $count stored"
    [ "$stored" -eq $count ]
}

# The admin tool reads our name server: both brokers and their addresses, twice.
admin_reads_mocks() {
    mqadmin topicRoute -n "127.0.0.1:$namesrv" -t TopicTest >"$work/topic-route.log"
    mqadmin clusterList -n "127.0.0.1:$namesrv" >"$work/cluster-list.log"
    local answer address
    for answer in topic-route cluster-list; do
        for address in "127.0.0.1:$broker_a" "127.0.0.1:$broker_b"; do
            grep -q "$address" "$work/$answer.log" || { echo "$answer lacks $address"; return 1; }
        done
    done
    local rows
    rows=$(grep -c '^DefaultCluster .*127.0.0.1' "$work/cluster-list.log")
    echo "topicRoute and clusterList show broker-a and broker-b"
    [ "$rows" -eq 2 ]
}

failures=0
run_case() { # run_case TITLE FUNCTION LOG…
    local title=$1 case=$2 outcome
    shift 2
    # Not in a subshell: the servers and ports it leaves are needed by the next case.
    if $case >"$work/outcome"; then outcome=PASS; else outcome=FAIL; fi
    echo "$outcome  $title: $(tail -n 1 "$work/outcome")"
    [ $outcome = PASS ] && return
    failures=$((failures + 1))
    local log
    for log in "$@"; do
        [ -s "$work/$log.log" ] || continue
        echo "--- the end of $log.log" >&2
        grep -v 'logback' "$work/$log.log" | tail -n 15 >&2
    done
}

run_case "Java producer 5.3.3 -> mock brokers" java_to_mocks java-producer mock-namesrv mock-broker-a mock-broker-b
run_case "admin tool 5.3.3 reads the mock name server" admin_reads_mocks topic-route cluster-list mock-namesrv
stop_all
run_case "our producer -> real broker 5.3.3" rust_to_real send real-namesrv real-broker
exit $((failures > 0))
