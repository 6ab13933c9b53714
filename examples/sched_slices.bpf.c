// SPDX-License-Identifier: BSD-2-Clause
// Follows the scheduler: how long each process ran, by the time between the switch to it and the switch away from it,
// and an event for every slice that was longer than a limit.
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>

/* The record of the tracepoint sched:sched_switch, as its format file gives it. */
struct sched_switch {
    __u64 common; /* type, flags, pid: not for programs to read */
    char prev_comm[16];
    __s32 prev_pid;
    __s32 prev_prio;
    __s64 prev_state;
    char next_comm[16];
    __s32 next_pid;
    __s32 next_prio;
};

struct usage {
    char comm[16];
    __u64 slices;
    __u64 run_ns;
    __u64 longest_ns;
};

struct slice {
    __s32 pid;
    char comm[16];
    __u64 ran_ns;
};

/* Slices longer than this are reported. */
const volatile __u64 limit_ns = 1000000;

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __s32);
    __type(value, __u64);
} started SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 8192);
    __type(key, __s32);
    __type(value, struct usage);
} usage SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 64 * 1024);
} slices SEC(".maps");

/* Keeps the type of the events in the object, so that whoever reads them can show them. */
const struct slice *unused_slice __attribute__((unused));

static void account(struct sched_switch *record, __u64 ran_ns)
{
    __s32 pid = record->prev_pid;
    struct usage fresh = {}, *u = bpf_map_lookup_elem(&usage, &pid);

    if (!u) {
        __builtin_memcpy(fresh.comm, record->prev_comm, sizeof(fresh.comm));
        bpf_map_update_elem(&usage, &pid, &fresh, BPF_NOEXIST);
        u = bpf_map_lookup_elem(&usage, &pid);
        if (!u)
            return;
    }
    __sync_fetch_and_add(&u->slices, 1);
    __sync_fetch_and_add(&u->run_ns, ran_ns);
    if (ran_ns > u->longest_ns)
        u->longest_ns = ran_ns;
    if (ran_ns > limit_ns) {
        struct slice *slice = bpf_ringbuf_reserve(&slices, sizeof(*slice), 0);

        if (slice) {
            slice->pid = pid;
            slice->ran_ns = ran_ns;
            __builtin_memcpy(slice->comm, record->prev_comm, sizeof(slice->comm));
            bpf_ringbuf_submit(slice, 0);
        }
    }
}

SEC("tracepoint/sched/sched_switch")
int on_switch(struct sched_switch *record)
{
    __u64 now = bpf_ktime_get_ns();
    __s32 prev = record->prev_pid, next = record->next_pid;
    __u64 *since = bpf_map_lookup_elem(&started, &prev);

    if (since) {
        account(record, now - *since);
        bpf_map_delete_elem(&started, &prev);
    }
    if (next)
        bpf_map_update_elem(&started, &next, &now, BPF_ANY);
    return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
