#!/bin/sh
# A real server that speaks S3, without Docker: S3Proxy over a directory, from the jars of Maven
# Central.
#
#   scripts/s3.sh jars                            downloads the jars once; prints their directory
#   scripts/s3.sh run [--port PORT] [--dir DIR]   runs a server until Ctrl-C
#
# It listens on 127.0.0.1 at PORT (9000). Each directory in DIR (beside the jars) is a bucket, so
# mkdir makes one; there is one from the start, `clicks`. The key is `clicks`, its secret
# `clicks-secret`:
#
#   export AWS_ENDPOINT_URL=http://localhost:9000 AWS_ALLOW_HTTP=true
#   export AWS_ACCESS_KEY_ID=clicks AWS_SECRET_ACCESS_KEY=clicks-secret
#   clicks archive --input in --raw s3://clicks/raw
#
# For tests: with --while-stdin the server is killed when stdin ends, and so never outlives the
# process that holds the other end, however that ends. With --any-key it looks at no key.
set -eu

name=s3 title=S3Proxy version=3.0.0
. "$(dirname "$0")/maven.sh"

# Runs the server of directory $dir at $port in place of this process.
server() {
    cat >"$dir.properties" <<EOF
s3proxy.endpoint=http://127.0.0.1:$port
s3proxy.authorization=$authorization
s3proxy.identity=clicks
s3proxy.credential=clicks-secret
# A segment is put in one request.
s3proxy.v4-max-non-chunked-request-size=4294967296
jclouds.provider=filesystem-nio2
jclouds.filesystem.basedir=$dir
jclouds.identity=none
jclouds.credential=none
EOF
    cat >"$dir.logback.xml" <<EOF
<configuration>
  <appender name="stderr" class="ch.qos.logback.core.ConsoleAppender">
    <target>System.err</target>
    <encoder><pattern>%d{HH:mm:ss.SSS} %level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="warn"><appender-ref ref="stderr"/></root>
</configuration>
EOF
    # One JVM among other work: a small heap, and no time spent on being fast later.
    exec java -Xmx256m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-UsePerfData \
        -Dlogback.configurationFile="$dir.logback.xml" \
        -cp "$home/lib/*" org.gaul.s3proxy.Main --properties "$dir.properties"
}

run() {
    port=9000 dir=$home/buckets while_stdin='' authorization=aws-v2-or-v4
    while [ $# -gt 0 ]; do
        case "$1" in
            --port | --dir) [ $# -gt 1 ] || fail "$1 needs a value" ;;
        esac
        case "$1" in
            --port) port=$2 && shift ;;
            --dir) dir=$2 && shift ;;
            --while-stdin) while_stdin=yes ;;
            --any-key) authorization=none ;;
            *) fail "unknown: $1" ;;
        esac
        shift
    done
    case "$port" in
        '' | *[!0-9]*) fail "not a port: $port" ;;
    esac

    "$root/scripts/need.sh" java
    jars
    mkdir -p "$dir/clicks"
    dir=$(cd "$dir" && pwd)
    if [ -z "$while_stdin" ]; then
        echo "s3: starting on localhost:$port, with its buckets in $dir; Ctrl-C ends it" >&2
        server
    fi
    # The server is killed by a process that reads stdin, so it does not outlive that even when this
    # script is killed.
    exec 3<&0
    (server) </dev/null 3<&- &
    server=$!
    (
        while read -r _; do :; done
        # It may be gone already.
        kill -KILL "$server" 2>/dev/null || :
    ) <&3 &
    exec 3<&- </dev/null
    wait "$server"
}

main "$@"
