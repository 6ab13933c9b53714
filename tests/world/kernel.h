/* What the test programs know of the kernel: a few members each, found in the target by CO-RE. */
#ifndef TESTS_WORLD_KERNEL_H
#define TESTS_WORLD_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32, __wsum;
typedef _Bool bool;
enum {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_STACK_TRACE = 7,
    BPF_MAP_TYPE_TASK_STORAGE = 29,
    BPF_MAP_TYPE_CGRP_STORAGE = 32
};
enum { BPF_F_NO_PREALLOC = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
typedef struct {
    __u32 val;
} kuid_t;
struct cred {
    kuid_t uid;
};
struct kernfs_node {
    __u64 id;
    const char *name;
};
struct cgroup {
    int level;
    struct kernfs_node *kn;
};
struct css_set {
    struct cgroup *dfl_cgrp;
};
struct mm_struct {
    unsigned long arg_start;
};
struct task_struct {
    int pid, tgid;
    char comm[16];
    struct task_struct *real_parent, *group_leader;
    const struct cred *cred;
    struct css_set *cgroups;
    struct mm_struct *mm;
    void *stack;
};
struct net_device {
    char name[16];
    int ifindex;
};
struct sk_buff {
    unsigned int len;
    struct net_device *dev;
};
struct sock_common {
    __u16 skc_family;
    __be16 skc_dport;
};
struct sock {
    struct sock_common __sk_common;
};
struct seq_file;
struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id, seq_num;
};
struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};
struct bpf_iter__bpf_map_elem {
    struct bpf_iter_meta *meta;
    void *map;
    void *key;
    void *value;
};
#pragma clang attribute pop

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

#endif
