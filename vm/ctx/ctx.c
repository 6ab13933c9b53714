/* Which way a program type's context is made: a table by type. */
#include "vm/ctx/ctx.h"
#include "vm/abi/prog_types.h"
#include "vm/ctx/store.h"
#include "vm/effect.h"
#include <errno.h>
#include <string.h>

static const struct ctx_kind *const kinds[PROG_TYPE_COUNT] = {
    [PROG_TYPE_SOCKET_FILTER] = &ctx_kind_skb,
    [PROG_TYPE_SCHED_CLS] = &ctx_kind_skb,
    [PROG_TYPE_SCHED_ACT] = &ctx_kind_skb,
    [PROG_TYPE_CGROUP_SKB] = &ctx_kind_skb,
    [PROG_TYPE_LWT_IN] = &ctx_kind_skb,
    [PROG_TYPE_LWT_OUT] = &ctx_kind_skb,
    [PROG_TYPE_LWT_XMIT] = &ctx_kind_skb,
    [PROG_TYPE_LWT_SEG6LOCAL] = &ctx_kind_skb,
    [PROG_TYPE_SK_SKB] = &ctx_kind_skb,
    [PROG_TYPE_XDP] = &ctx_kind_xdp,
    [PROG_TYPE_RAW_TRACEPOINT] = &ctx_kind_raw_tp,
    [PROG_TYPE_RAW_TRACEPOINT_WRITABLE] = &ctx_kind_raw_tp,
    [PROG_TYPE_TRACING] = &ctx_kind_raw_tp,
    [PROG_TYPE_STRUCT_OPS] = &ctx_kind_raw_tp,
    [PROG_TYPE_LSM] = &ctx_kind_raw_tp,
    [PROG_TYPE_EXT] = &ctx_kind_raw_tp,
    [PROG_TYPE_SYSCALL] = &ctx_kind_syscall,
    [PROG_TYPE_SK_LOOKUP] = &ctx_kind_sk_lookup,
    [PROG_TYPE_FLOW_DISSECTOR] = &ctx_kind_flow,
    [PROG_TYPE_SK_MSG] = &ctx_kind_msg,
    [PROG_TYPE_SK_REUSEPORT] = &ctx_kind_reuseport,
    [PROG_TYPE_SOCK_OPS] = &ctx_kind_sock_ops,
    [PROG_TYPE_CGROUP_SOCK] = &ctx_kind_sock,
    [PROG_TYPE_CGROUP_SOCK_ADDR] = &ctx_kind_sock_addr,
    [PROG_TYPE_CGROUP_SOCKOPT] = &ctx_kind_sockopt,
    [PROG_TYPE_CGROUP_SYSCTL] = &ctx_kind_sysctl,
};

static const struct ctx_kind *kind_of(const struct prog_type *type)
{
    if (!type)
        return &ctx_kind_raw;
    return kinds[type->id] ? kinds[type->id] : &ctx_kind_plain;
}

/* What the last run left: the buffers stay, what lay in them does not. */
static void forget(struct skep_env *env)
{
    unsigned char *buf = env->packet.buf;
    uint32_t cap = env->packet.cap;

    memset(&env->packet, 0, sizeof(env->packet));
    env->packet.buf = buf;
    env->packet.cap = cap;
    env->ctx = NULL;
    env->ctx_size = 0;
    env->ctx_layout = NULL;
    env->skb = NULL;
    env->sk = NULL;
    if (env->ctx_store)
        env->ctx_store->given = 0;
    env_forget_mem(env);
}

static void begin(struct skep_env *env)
{
    forget(env);
    env->retval = 0;
    sock_renew_own(env);
    memset(&env->redirect, 0, sizeof(env->redirect));
}

void ctx_borrow(struct skep_env *env, void *mem, uint32_t size)
{
    begin(env);
    env->ctx = mem;
    env->ctx_size = size;
}

void ctx_return(struct skep_env *env)
{
    forget(env);
}

int ctx_open(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io, const struct log *log)
{
    int err;

    begin(env);
    if ((io->data_size_in && !io->data_in) || (io->ctx_size_in && !io->ctx_in))
        return log_fail(log, -EINVAL, "%s has a size but no bytes", io->data_in ? "ctx_in" : "data_in");
    if (!ctx_store(env))
        return log_fail(log, -ENOMEM, "no memory for a context");
    env->ctx_store->given = io->ctx_in ? io->ctx_size_in : 0;
    err = kind_of(type)->open(env, type, io, log);
    if (err)
        forget(env);
    return err;
}

int ctx_close(struct skep_env *env, const struct prog_type *type, struct ctx_io *io, uint64_t retval)
{
    int err;

    io->result = hook_result(env, type, retval);
    effect_of_verdict(env, type, (uint32_t)retval);
    err = kind_of(type)->close(env, type, io);
    forget(env);
    return err;
}
