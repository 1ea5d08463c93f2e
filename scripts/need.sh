#!/bin/sh
# Makes sure that tools are there: scripts/need.sh [TOOL...], by default cc and cargo.
#
# A missing one is installed through the system's package manager when run as root; else the
# command that would is printed, and the script fails. Toolchains of Rust are never installed.
set -eu

cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null 2>&1; }

# Prints what is wrong, and the command that mends it on a line of its own.
fail() {
    printf '%s\n' "need: $1" "${2:-}" >&2
    exit 1
}

# The package manager of this system.
manager() {
    for name in apt-get dnf apk pacman zypper; do
        if has "$name"; then
            echo "$name"
            return
        fi
    done
}

# The packages that hold tool $1 under package manager $2.
packages() {
    case "$1:$2" in
        cc:apt-get) echo gcc libc6-dev ;;
        cc:apk) echo gcc musl-dev ;;
        cc:*) echo gcc ;;
        c++:dnf | c++:zypper) echo gcc-c++ ;;
        c++:pacman) echo gcc ;;
        c++:*) echo g++ ;;
        java:apt-get)
            # What is the default there is older than 17.
            case "$(. /etc/os-release && echo "$ID${VERSION_ID:-}")" in
                debian11 | ubuntu20.04 | ubuntu22.04) echo openjdk-17-jre-headless ;;
                *) echo default-jre-headless ;;
            esac
            ;;
        java:apk) echo openjdk17-jre-headless ;;
        java:pacman) echo jre17-openjdk-headless ;;
        java:*) echo java-21-openjdk-headless ;;
        mvn:*) echo maven ;;
        python3:apt-get) echo python3 python3-venv ;;
        python3:pacman) echo python ;;
        pkg-config:dnf) echo pkgconf-pkg-config ;;
        pkg-config:apk | pkg-config:pacman) echo pkgconf ;;
        chromedriver:apt-get) echo chromium-driver ;;
        chromedriver:apk) echo chromium-chromedriver ;;
        chromedriver:pacman) echo chromium ;;
        font:apt-get) echo fonts-dejavu-core ;;
        font:dnf) echo dejavu-sans-fonts ;;
        font:apk) echo font-dejavu ;;
        font:pacman) echo ttf-dejavu ;;
        font:zypper) echo dejavu-fonts ;;
        *) echo "$1" ;;
    esac
}

# The command by which package manager $1 installs the packages that follow.
command_of() {
    name=$1
    shift
    case "$name" in
        apt-get) echo "apt-get update && apt-get install -y --no-install-recommends $*" ;;
        dnf) echo "dnf install -y $*" ;;
        apk) echo "apk add --no-cache $*" ;;
        pacman) echo "pacman -Sy --noconfirm --needed $*" ;;
        zypper) echo "zypper --non-interactive install $*" ;;
    esac
}

need_cargo() {
    has cargo || fail "cargo is missing; install Rust with this line, and open a new shell:" \
        "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    least=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' Cargo.toml)
    found=$(cargo --version | sed 's/^cargo \([0-9]*\.[0-9]*\).*/\1/')
    # The older of the two comes first.
    older=$(printf '%s\n%s\n' "$least" "$found" | sort -t. -k1,1n -k2,2n | head -n 1)
    [ "$older" = "$least" ] || fail "cargo is $found, and must be $least or newer; run this line:" \
        "rustup update stable"
}

need_component() {
    "cargo-$1" --version >/dev/null 2>&1 || fail "cargo $1 is missing; run this line:" \
        "rustup component add $2"
}

# Whether tool $1 is there, whole, and not too old.
has_tool() {
    [ "$1" = font ] || has "$1" || return 1
    case "$1" in
        java) is_new_java ;;
        # No program, but a browser without any shows no text.
        font)
            find -L /usr/share/fonts /usr/local/share/fonts -name '*.[ot]tf' 2>/dev/null \
                | grep -q .
            ;;
        # What makes environments is in a package of its own on Debian.
        python3)
            python3 -c 'import ensurepip, venv, sys; assert sys.version_info >= (3, 10)' \
                2>/dev/null || { echo "need: python3 lacks venv, or is older than 3.10" >&2 && false; }
            ;;
    esac
}

is_new_java() {
    # 1.8.0_1 is the old way to say 8.
    found=$(java -version 2>&1 | sed -n 's/.* version "\(1\.\)\{0,1\}\([0-9]*\).*/\2/p' | head -n 1)
    [ "${found:-0}" -ge 17 ] || {
        echo "need: java is ${found:-of no known version}, and must be 17 or newer" >&2
        return 1
    }
}

missing=
[ $# -gt 0 ] || set -- cc cargo
for tool in "$@"; do
    case "$tool" in
        cargo) need_cargo ;;
        cargo-fmt) need_component fmt rustfmt ;;
        cargo-clippy) need_component clippy clippy ;;
        *) has_tool "$tool" || missing="$missing $tool" ;;
    esac
done
[ -n "$missing" ] || exit 0

name=$(manager)
[ -n "$name" ] || fail "missing:$missing; no package manager is known here, so install them by hand"
wanted=
for tool in $missing; do
    wanted="$wanted $(packages "$tool" "$name")"
done
# Each package is a word.
# shellcheck disable=SC2086
line=$(command_of "$name" $wanted)
[ "$(id -u)" = 0 ] || fail "missing:$missing; run this line as root:" "$line"
printf 'need: missing:%s; running: %s\n' "$missing" "$line" >&2
DEBIAN_FRONTEND=noninteractive sh -c "$line" >&2
for tool in $missing; do
    has_tool "$tool" || fail "$tool is still missing after: $line"
done
