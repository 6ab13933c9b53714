/*
 * The buffers that contexts are made in, one set an environment, kept between runs so that a run of many packets takes
 * memory once. Only vm/ctx knows this.
 */
#ifndef VM_CTX_STORE_H
#define VM_CTX_STORE_H

#include "vm/ctx/ctx.h"
#include "vm/ctx/hook.h"
#include "vm/ctx/skb.h"

struct ctx_store {
    unsigned char *ctx; /* what r1 points to */
    uint32_t ctx_cap;
    unsigned char *user; /* the caller's context as Linux keeps it beside: zero where ctx_in was short */
    uint32_t user_cap;
    uint32_t given; /* bytes of ctx_in */
    bool has_user;  /* ctx_in or ctx_out was given */
    struct skb skb;
    uint64_t flow_keys[7]; /* struct bpf_flow_keys */
    struct hook_msg msg;
    struct hook_hdr_opts hdr_opts;
    struct hook_sysctl *sysctl; /* made on first use */
};

/** The environment's store, made on first use. NULL: out of memory. */
struct ctx_store *ctx_store(struct skep_env *env);

/** env->ctx becomes size zeroed bytes. @return false: out of memory. */
bool ctx_make(struct skep_env *env, uint32_t size);

/** Keeps the caller's context, up to max bytes: longer ones must be zero behind. @return 0, -E2BIG, -ENOMEM. */
int ctx_take_user(struct skep_env *env, const struct ctx_io *io, uint32_t max, const struct log *log);

/** Gives bytes out as Linux does. @return 0, -ENOSPC. */
int ctx_give_data(struct ctx_io *io, const void *data, uint32_t size);
int ctx_give_ctx(struct ctx_io *io, const void *ctx, uint32_t size);

/* One way to make and read a context. */
struct ctx_kind {
    int (*open)(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log);
    int (*close)(struct skep_env *env, const struct prog_type *type, struct ctx_io *io);
};

extern const struct ctx_kind ctx_kind_raw, ctx_kind_xdp, ctx_kind_skb, ctx_kind_raw_tp, ctx_kind_plain,
    ctx_kind_syscall, ctx_kind_sk_lookup, ctx_kind_flow, ctx_kind_msg, ctx_kind_sock_ops, ctx_kind_reuseport,
    ctx_kind_sock_addr, ctx_kind_sock, ctx_kind_sockopt, ctx_kind_sysctl;

#endif
