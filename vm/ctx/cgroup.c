/*
 * Cgroup hooks: sysctls, and what a hook's caller makes of a program's return value. A sysctl's name and current value
 * are the run's world's; data_in is the new value where one is written, data_out what would be written in the end.
 */
#include "vm/abi/ctx.h"
#include "vm/ctx/hook.h"
#include "vm/ctx/packet.h"
#include "vm/ctx/store.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sysctl_ctx {
    uint32_t write, file_pos;
};

struct hook_sysctl *hook_sysctl(struct skep_env *env)
{
    return env->ctx_layout == &ctx_sysctl && env->ctx_store ? env->ctx_store->sysctl : NULL;
}

struct hook_hdr_opts *hook_hdr_opts(struct skep_env *env)
{
    return env->ctx_layout == &ctx_sock_ops && env->ctx_store ? &env->ctx_store->hdr_opts : NULL;
}

static int open_sysctl(struct skep_env *env, const struct prog_type *type, const struct ctx_io *io,
                       const struct log *log)
{
    const char *name = env->sysctl_name ? env->sysctl_name : "kernel/hostname";
    struct ctx_store *store = ctx_store(env);
    struct hook_sysctl *s;
    int err = ctx_take_user(env, io, sizeof(struct sysctl_ctx), log);

    if (err)
        return err;
    if (io->data_size_in >= HOOK_VALUE || (env->sysctl_value && strlen(env->sysctl_value) >= HOOK_VALUE) ||
        strlen(name) >= HOOK_NAME)
        return log_fail(log, -EINVAL, "a sysctl's value has at most %u bytes, its name %u", HOOK_VALUE - 1,
                        HOOK_NAME - 1);
    if (!store->sysctl && !(store->sysctl = malloc(sizeof(*store->sysctl))))
        return log_fail(log, -ENOMEM, "no memory for a sysctl");
    if (!ctx_make(env, sizeof(struct sysctl_ctx)))
        return log_fail(log, -ENOMEM, "no memory for a context");
    s = store->sysctl;
    memset(s, 0, sizeof(*s));
    env->ctx_layout = type->ctx;
    memcpy(env->ctx, store->user, sizeof(struct sysctl_ctx));
    if (io->data_size_in)
        ((struct sysctl_ctx *)env->ctx)->write = 1;
    s->is_write = ((struct sysctl_ctx *)env->ctx)->write;
    memcpy(s->name, name, strlen(name));
    if (env->sysctl_value)
        memcpy(s->current, env->sysctl_value, s->current_len = (uint32_t)strlen(env->sysctl_value));
    if (io->data_size_in)
        memcpy(s->value, io->data_in, s->value_len = io->data_size_in);
    return 0;
}

static int close_sysctl(struct skep_env *env, const struct prog_type *type, struct ctx_io *io)
{
    const struct hook_sysctl *s = env->ctx_store->sysctl;
    int err = ctx_give_data(io, s->value, s->value_len);

    (void)type;
    return err ? err : ctx_give_ctx(io, env->ctx, env->ctx_size);
}

const struct ctx_kind ctx_kind_sysctl = {open_sysctl, close_sysctl};

/* ---- Results ---- */

enum { OPT_LEN_OFF = 32, OPT_RETVAL_OFF = 36 };

int32_t *hook_retval(struct skep_env *env)
{
    if (env->ctx_layout == &ctx_sockopt)
        return (int32_t *)((char *)env->ctx + OPT_RETVAL_OFF);
    return &env->retval;
}

/* Linux's __cgroup_bpf_run_filter_setsockopt(): the length decides, once the program let the call pass. */
static int32_t sockopt_result(struct skep_env *env)
{
    uint32_t room = packet_len(env);
    int32_t len;

    memcpy(&len, (char *)env->ctx + OPT_LEN_OFF, sizeof(len));
    if (len == -1)
        return 1;
    if (len < 0 || (uint32_t)len > room)
        return room == PACKET_PAGE && len >= 0 ? 0 : -EFAULT;
    return 0;
}

int32_t hook_result(struct skep_env *env, const struct prog_type *type, uint64_t retval)
{
    int32_t result;

    if (!type)
        return 0;
    switch (type->id) {
    case PROG_TYPE_CGROUP_SKB:
    case PROG_TYPE_CGROUP_SOCK:
    case PROG_TYPE_CGROUP_DEVICE:
    case PROG_TYPE_CGROUP_SOCK_ADDR:
    case PROG_TYPE_CGROUP_SYSCTL:
    case PROG_TYPE_CGROUP_SOCKOPT: break;
    default: return 0;
    }
    result = *hook_retval(env);
    if (!(retval & 1))
        return result < 0 && result >= -4095 ? result : -EPERM;
    return type->id == PROG_TYPE_CGROUP_SOCKOPT && !result ? sockopt_result(env) : result;
}
