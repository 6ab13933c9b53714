#include "vm/runtime.h"
#include <string.h>

int64_t run_load_packet(struct skep_env *env, uint64_t where, uint64_t size)
{
    const struct env_packet *p = &env->packet;
    const unsigned char *base = p->data;
    int32_t off = (int32_t)where;
    int64_t at = off;
    uint64_t value = 0;

    if (off < 0) {
        bool net = off >= -0x100000;
        base = net ? p->net : p->mac;
        at = (int64_t)off + (net ? 0x100000 : 0x200000);
    }
    if (!base || at < 0 || base < p->buf || base > p->data_end || at + (int64_t)size > p->data_end - base + p->paged)
        return -1;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | base[at + i];
    return (int64_t)value;
}

uint64_t run_load_ctx(struct skep_env *env, uint64_t addr)
{
    uint64_t pointer;
    uint32_t value;

    if (addr - (uintptr_t)env->ctx < env->ctx_size && env_ctx_packet(env, addr, 4, &pointer))
        return pointer;
    memcpy(&value, (const void *)(uintptr_t)addr, sizeof(value));
    return value;
}

uint64_t run_probe_load(struct skep_env *env, uint64_t addr, uint64_t size)
{
    uint64_t value = 0;
    const void *p;

    if (env_ctx_packet(env, addr, (uint32_t)size, &value))
        return value;
    p = env_probe(env, addr, size, ENV_MEM_KERNEL);
    if (p)
        memcpy(&value, p, size);
    return value;
}

void run_push_frame(struct skep_env *env, uint64_t func)
{
    if (env_has_frame(env))
        env->frame++;
    else
        env_trap(env, TRAP_stack_overflow, 0, 0, "call of '%s' would be frame %u", env->code->prog->funcs[func].name,
                 env->frame - env->first_frame + 2);
}

const struct code *run_tail_call(struct skep_env *env, const struct code *to)
{
    const char *from = env->code->prog->name;

    if (!to || env->tail_calls >= PROG_MAX_TAIL_CALLS)
        return NULL;
    if (env->checked && !to->opts.checked) {
        env_trap(env, TRAP_bad_call, 0, 0, "tail call from checked '%s' to '%s', which is not checked", from,
                 to->prog->name);
        return NULL;
    }
    if (to->ctx_needed > env->ctx_size) {
        env_trap(env, TRAP_bad_call, 0, 0,
                 "tail call from '%s' to '%s', which uses %u bytes of its %s; this run has %u", from, to->prog->name,
                 to->ctx_needed, to->prog->type ? "context" : "memory", env->ctx_size);
        return NULL;
    }
    env->tail_calls++;
    return to;
}
