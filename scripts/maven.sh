# shellcheck shell=sh
# For scripts that run a server of Java from the jars of Maven Central: source it after these are set.
#
#   name     of the server, which is that of its script, and of the directory of its pom.xml
#   title    what it is, for people
#   version  of it
#
# Then there are $root, the project; $home, where the jars are, and what the server leaves; and:

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-target}
case "$target" in
    /*) ;;
    *) target=$root/$target ;;
esac
home=$target/$name-$version

fail() {
    printf '%s: %s\n' "$name" "$*" >&2
    exit 1
}

# Makes sure that the jars are there: all of them, or none.
jars() {
    [ ! -d "$home/lib" ] || return 0
    "$root/scripts/need.sh" java mvn
    echo "$name: downloading $title $version from Maven Central, once" >&2
    mkdir -p "$home"
    temporary=$(mktemp -d "$home/download.XXXXXX")
    mvn -q -B -C -f "$root/scripts/$name/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$temporary/lib" >&2 || {
        rm -rf "$temporary"
        fail "cannot download the jars; Maven says above why"
    }
    # Refused if another process was faster.
    mv "$temporary/lib" "$home/" 2>/dev/null || [ -d "$home/lib" ] || fail "cannot make $home/lib"
    rm -rf "$temporary"
}

# Does what the first argument asks for: `jars`, or `run` by the script's own function of that name.
main() {
    command=${1:-}
    [ $# -eq 0 ] || shift
    case "$command" in
        jars)
            jars
            echo "$home/lib"
            ;;
        run) run "$@" ;;
        *) fail "scripts/$name.sh jars, or scripts/$name.sh run" ;;
    esac
}
