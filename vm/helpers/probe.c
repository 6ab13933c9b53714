/*
 * Reading memory that may not be there. env_probe() knows what the world holds; what it does not hold gives -EFAULT and
 * a destination of zeroes, as Linux leaves it.
 */
#include "vm/helpers/probe.h"
#include "vm/helpers/helper.h"
#include "vm/world/world.h"

enum env_mem_kind probe_kind(uint64_t addr)
{
    return addr >> 63 ? ENV_MEM_KERNEL : ENV_MEM_USER;
}

/* Linux tells apart what can be no kernel address (-ERANGE, on x86 also what is not canonical) and what is not there.
 */
static int64_t failure(uint64_t addr, enum env_mem_kind kind)
{
    return kind == ENV_MEM_KERNEL && (int64_t)addr >> 47 != -1 ? -ERANGE : -EFAULT;
}

/* Not a byte is read, yet an address of the wrong half of the address space is refused. */
static uint64_t copy_nothing(struct skep_env *env, uint64_t src, enum env_mem_kind kind)
{
    bool wrong = kind == ENV_MEM_KERNEL ? failure(src, kind) == -ERANGE : src >> 63;

    return wrong && !env_probe(env, src, 1, kind) ? (uint64_t)failure(src, kind) : 0;
}

static uint64_t copy(struct skep_env *env, uint64_t dst, uint64_t size, uint64_t src, enum env_mem_kind kind)
{
    const void *from;
    void *to;

    size = (uint32_t)size;
    if (!size)
        return copy_nothing(env, src, kind);
    to = helper_ptr(dst);
    from = env_probe(env, src, size, kind);
    if (!from) {
        memset(to, 0, size);
        return (uint64_t)failure(src, kind);
    }
    memmove(to, from, size);
    return 0;
}

/* A string may end right before memory does, hence the bytes one by one where the whole room is not there. */
int64_t probe_str(struct skep_env *env, char *to, uint64_t size, uint64_t src, enum env_mem_kind kind)
{
    const char *from;
    uint64_t len;

    if (!size)
        return 0;
    from = env_probe(env, src, size, kind);
    if (from) {
        len = strnlen(from, size);
        memmove(to, from, len);
    } else {
        for (len = 0; len < size; len++) {
            from = env_probe(env, src + len, 1, kind);
            if (!from) {
                memset(to, 0, size);
                return failure(src, kind);
            }
            to[len] = *from;
            if (!*from)
                break;
        }
    }
    if (len == size)
        len--;
    to[len] = 0;
    return (int64_t)len + 1;
}

static uint64_t copy_str(struct skep_env *env, uint64_t dst, uint64_t size, uint64_t src, enum env_mem_kind kind)
{
    return (uint64_t)probe_str(env, helper_ptr(dst), (uint32_t)size, src, kind);
}

HELPER_BODY(probe_read)
{
    return copy(env, a1, a2, a3, probe_kind(a3));
}

HELPER_BODY(probe_read_kernel)
{
    return copy(env, a1, a2, a3, ENV_MEM_KERNEL);
}

HELPER_BODY(probe_read_user)
{
    return copy(env, a1, a2, a3, ENV_MEM_USER);
}

HELPER_BODY(copy_from_user)
{
    return copy(env, a1, a2, a3, ENV_MEM_USER);
}

/* Of another process there is what the world gives it alone. */
HELPER_BODY(copy_from_user_task)
{
    const struct world_task *task = env->world ? world_task_at(env->world, a4) : NULL;
    uint32_t size = (uint32_t)a2;
    const void *from;

    if (a5)
        return helper_error(-EINVAL);
    if (!size)
        return 0;
    if (task && env->current && task->tgid == env->current->tgid)
        return copy(env, a1, a2, a3, ENV_MEM_USER);
    from = task ? world_task_memory(task, a3, size) : NULL;
    if (from)
        memcpy(helper_ptr(a1), from, size);
    else
        memset(helper_ptr(a1), 0, size);
    return from ? 0 : helper_error(-EFAULT);
}

HELPER_BODY(probe_read_str)
{
    return copy_str(env, a1, a2, a3, probe_kind(a3));
}

HELPER_BODY(probe_read_kernel_str)
{
    return copy_str(env, a1, a2, a3, ENV_MEM_KERNEL);
}

HELPER_BODY(probe_read_user_str)
{
    return copy_str(env, a1, a2, a3, ENV_MEM_USER);
}

static unsigned char *writable_user(const struct env_mem *mems, uint32_t n, uint64_t addr, uint64_t size)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct env_mem *m = &mems[i];

        if (m->kind == ENV_MEM_USER && m->access & ENV_WRITE && addr >= m->guest && size <= m->size &&
            addr - m->guest <= m->size - size)
            return m->host + (addr - m->guest);
    }
    return NULL;
}

HELPER_BODY(probe_write_user)
{
    uint64_t size = (uint32_t)a3;
    const void *from = helper_ptr(a2);
    unsigned char *to;

    to = writable_user(env->mems, env->n_mems, a1, size);
    if (!to)
        to = env_write_user(env, a1, size);
    if (!to)
        return helper_error(-EFAULT);
    memmove(to, from, size);
    return 0;
}
