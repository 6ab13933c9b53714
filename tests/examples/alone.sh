#!/bin/bash
# Runs a command in network and mount namespaces of its own, which go with it: what it attaches, mounts or adds is seen by
# nobody else. ROOT becomes the reason why commands of root cannot be run, where they cannot.
if [ -z "${ALONE:-}" ]; then
    for tool in unshare ip; do command -v $tool >/dev/null || ROOT="no $tool"; done
    [ "$(id -u)" = 0 ] || ROOT="not root"
    [ -n "${ROOT:-}" ] || unshare --net --mount true 2>/dev/null || ROOT="no namespaces can be made here"
    export ROOT
    [ -z "$ROOT" ] || exec "$@"
    ALONE=1 exec unshare --net --mount "$0" "$@"
fi
mount --make-rprivate /
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t bpf bpf /sys/fs/bpf 2>/dev/null || ROOT="no bpf in this kernel"
ip link set lo up
# No packets but those of the command.
for f in all default; do echo 1 >/proc/sys/net/ipv6/conf/$f/disable_ipv6; done 2>/dev/null
ip link add skep_try type veth peer name skep_tried 2>/dev/null && ip link del skep_try || ROOT="no veth in this kernel"
exec "$@"
