#!/bin/sh
# Installs the packages that a set of targets needs: deps.sh [build] [demo] [check]; nothing named means all of them.
# On Debian and Ubuntu with root or sudo it installs; elsewhere it prints what to type, and stops.
set -u
build="gcc make binutils pkg-config libc6-dev libelf-dev zlib1g-dev libpcap-dev libbpf-dev libcapstone-dev"
demo="clang-19 llvm-19 libxdp1"
check="clang-14 clang-16 clang-22 libclang-rt-14-dev libclang-rt-19-dev gcc-bpf libcmocka-dev bpftool gdb iproute2 jq xz-utils linux-source-6.1"

want=
for group in ${*:-build demo check}; do
    case $group in
    build) want="$want $build" ;;
    demo) want="$want $demo" ;;
    check) want="$want $check" ;;
    *) echo "deps.sh: no group '$group' (build, demo, check)" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "skep needs these packages, by their Debian names:" >&2
    echo "   $want" >&2
    echo "Install what your system calls them, then run make again." >&2
    exit 1
fi

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
missing=
for p in $want; do is_installed "$p" || missing="$missing $p"; done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    echo "These packages are missing; as root, type:" >&2
    echo "    apt-get install -y --no-install-recommends$missing" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
echo "installing:$missing"
$as_root apt-get update -q >"$log" 2>&1 || { cat "$log" >&2; echo "deps.sh: apt-get update failed" >&2; exit 1; }
# What only some releases have (a newer clang, gcc-bpf) is left out where the archive lacks it; the tests that want it skip.
have=
for p in $missing; do
    if apt-cache policy "$p" 2>/dev/null | grep -q 'Candidate: [^(]'; then have="$have $p"; else echo "deps.sh: this release has no package $p" >&2; fi
done
[ -z "$have" ] || $as_root apt-get install -y -q --no-install-recommends $have >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    echo "deps.sh: apt-get install failed; by hand: apt-get install -y --no-install-recommends$have" >&2
    exit 1
}
