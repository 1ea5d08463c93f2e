#!/bin/sh
# A real Kafka without Docker: one broker on this machine, from the jars of Maven Central.
#
#   scripts/kafka.sh jars                            downloads the jars once; prints their directory
#   scripts/kafka.sh run [--port PORT] [--dir DIR]   runs a broker until Ctrl-C
#
# It listens on 127.0.0.1, at PORT (9092) and the port after it, and keeps its data in DIR (beside
# the jars): started again on the same DIR it has all that it had, also after kill -9. Topics are
# made by its own tools:
#
#   java -cp "$(scripts/kafka.sh jars)/*" org.apache.kafka.tools.TopicCommand \
#       --bootstrap-server localhost:9092 --create --topic clicks --partitions 4
#
# For tests: with --nodes PORT,PORT,PORT it is one of so many brokers, each run by itself, and topics
# are on all of them. With --advertise PORT it listens too at the port after the next, for a proxy at
# PORT: whoever comes there is told that the broker is at PORT. With --while-stdin the broker is killed when stdin ends, and so never outlives the
# process that holds the other end, however that ends; with --rm too, DIR is removed then. What it
# logs is in DIR/broker.log, its process id in DIR/broker.pid.
set -eu

name=kafka title=Kafka version=4.1.0
. "$(dirname "$0")/maven.sh"
# Any will do.
CLUSTER=clicks-kafka-one-nodeQ

# The settings of a broker at port $1 with its data in directory $2, one of those at the ports $3;
# with a listener for a proxy at port $4, if that is given.
properties() {
    count=0 id=0 voters=''
    for node in $(echo "$3" | tr , ' '); do
        count=$((count + 1))
        [ "$node" != "$1" ] || id=$count
        voters=$voters${voters:+,}$count@127.0.0.1:$((node + 1))
    done
    [ "$id" -gt 0 ] || fail "port $1 is none of $3"
    listeners=PLAINTEXT://127.0.0.1:$1 advertised=PLAINTEXT://127.0.0.1:$1
    if [ -n "$4" ]; then
        listeners=$listeners,PROXIED://127.0.0.1:$(($1 + 2))
        advertised=$advertised,PROXIED://127.0.0.1:$4
    fi
    cat <<EOF
process.roles=broker,controller
node.id=$id
controller.quorum.voters=$voters
listeners=$listeners,CONTROLLER://127.0.0.1:$(($1 + 1))
advertised.listeners=$advertised
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=$2
auto.create.topics.enable=false

# Each broker holds all, and little of it; what is committed is on most of them.
default.replication.factor=$count
min.insync.replicas=$((count / 2 + 1))
offsets.topic.replication.factor=$count
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=$count
transaction.state.log.min.isr=$((count / 2 + 1))
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=$count
share.coordinator.state.topic.min.isr=$((count / 2 + 1))
share.coordinator.state.topic.num.partitions=1
log.cleaner.dedupe.buffer.size=16777216

# Records of 10 MiB.
message.max.bytes=11000000
replica.fetch.max.bytes=11000000

# What takes minutes elsewhere is seen at once.
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.initial.task.delay.ms=1000
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=1000
log.cleaner.backoff.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
EOF
}

# Runs a class of Kafka in place of this process: java_of LEVEL CLASS [ARGUMENT...]
java_of() {
    level=$1
    shift
    # One JVM among other work: a small heap, and no time spent on being fast later.
    exec java -Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData \
        -Dorg.slf4j.simpleLogger.defaultLogLevel="$level" \
        -Dorg.slf4j.simpleLogger.showDateTime=true \
        -Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS \
        -cp "$home/lib/*" "$@"
}

run() {
    port=9092 dir=$home/broker nodes='' advertise='' while_stdin='' remove=''
    while [ $# -gt 0 ]; do
        case "$1" in
            --port | --dir | --nodes | --advertise) [ $# -gt 1 ] || fail "$1 needs a value" ;;
        esac
        case "$1" in
            --port) port=$2 && shift ;;
            --dir) dir=$2 && shift ;;
            --nodes) nodes=$2 && shift ;;
            --advertise) advertise=$2 && shift ;;
            --while-stdin) while_stdin=yes ;;
            --rm) remove=yes ;;
            *) fail "unknown: $1" ;;
        esac
        shift
    done
    for number in "$port" $(echo "${nodes:=$port}" | tr , ' ') "${advertise:-0}"; do
        case "$number" in
            '' | *[!0-9]*) fail "not a port: $number" ;;
        esac
    done
    [ -z "$remove" ] || [ -n "$while_stdin" ] || fail "--rm goes with --while-stdin"

    "$root/scripts/need.sh" java
    jars
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    properties "$port" "$dir/data" "$nodes" "$advertise" >"$dir/server.properties"
    # The last file that formatting writes.
    [ -f "$dir/data/meta.properties" ] \
        || (java_of warn kafka.tools.StorageTool format -t "$CLUSTER" -c "$dir/server.properties") \
            </dev/null >"$dir/format.log" 2>&1 \
        || { cat "$dir/format.log" >&2 && fail "cannot format $dir/data"; }

    [ -z "$while_stdin" ] || run_while_stdin
    echo "kafka: starting on localhost:$port, with its data in $dir; Ctrl-C ends it" >&2
    java_of warn kafka.Kafka "$dir/server.properties"
}

# Runs the broker of $dir beside a process that reads stdin. The broker is killed by that one, so
# it does not outlive stdin even when this script is killed.
run_while_stdin() {
    exec 3<&0
    (java_of info kafka.Kafka "$dir/server.properties") </dev/null >>"$dir/broker.log" 2>&1 3<&- &
    broker=$!
    echo "$broker" >"$dir/broker.pid.new"
    mv "$dir/broker.pid.new" "$dir/broker.pid"
    (
        while read -r _; do :; done
        trap '' TERM
        # It may be gone already.
        kill -KILL "$broker" 2>/dev/null || :
    ) <&3 &
    watcher=$!
    exec 3<&- </dev/null
    trap 'kill -KILL "$broker" 2>/dev/null' HUP INT TERM

    status=0
    wait "$broker" 2>/dev/null || status=$?
    rm -f "$dir/broker.pid"
    kill -TERM "$watcher" 2>/dev/null || :
    if wait "$watcher" 2>/dev/null; then
        [ -z "$remove" ] || rm -rf "$dir"
        exit 0
    fi
    # 137: it was killed, and whoever did so knows.
    [ "$status" = 137 ] || {
        tail -n 40 "$dir/broker.log" >&2
        printf 'kafka: the broker ended with status %s; its last words are above\n' "$status" >&2
    }
    exit "$status"
}

main "$@"
