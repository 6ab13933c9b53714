/*
 * What a hook is besides its context: the message of sk_msg, the value of a sysctl, the packet of a socket event.
 * Fields of these that programs see stand in the context, and only there.
 */
#ifndef VM_CTX_HOOK_H
#define VM_CTX_HOOK_H

#include "vm/abi/prog_types.h"
#include "vm/env.h"

/* sk_msg: programs see the window between the packet's ends; the message is all of it. */
struct hook_msg {
    uint32_t front, behind; /* bytes of the message before and behind the window */
    uint32_t apply_bytes, cork_bytes;
    bool redirected;
    bool to_ingress;
};

/* sock_ops: what is left of the 40 bytes of options that a TCP header can have, and what the program reserved. */
struct hook_hdr_opts {
    uint32_t remaining, reserved;
};

enum { HOOK_VALUE = 4096 /* a page: no sysctl's value is longer */, HOOK_NAME = 128 };

/* cgroup_sysctl */
struct hook_sysctl {
    char name[HOOK_NAME]; /* "net/ipv4/tcp_mem" */
    char current[HOOK_VALUE], value[HOOK_VALUE];
    uint32_t current_len, value_len;
    bool is_write; /* there is a new value */
    bool updated;  /* the program set another one */
};

/**
 * What the hook's caller gets for a return value of a cgroup program, 0 or a negative errno, as Linux's
 * bpf_prog_run_array_cg() and its callers find it (1: fine, but the kernel's own work is skipped). Other types: 0.
 */
int32_t hook_result(struct skep_env *env, const struct prog_type *type, uint64_t retval);

/** Puts the packet's ends where the context holds them (CTX_PACKET_HELD). packet_moved() calls it. */
void hook_place_packet(struct skep_env *env);

/** The message of an sk_msg run, the sysctl of a cgroup_sysctl run, NULL in others. */
struct hook_msg *hook_msg(struct skep_env *env);
struct hook_sysctl *hook_sysctl(struct skep_env *env);
struct hook_hdr_opts *hook_hdr_opts(struct skep_env *env);
/** Where the hook's result stands that programs see: bpf_set_retval()'s, or the field of getsockopt's context. */
int32_t *hook_retval(struct skep_env *env);

#endif
