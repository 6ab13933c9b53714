/* Dynptrs: memory and its size in one, made and followed by helpers alone. What a run holds of a ring buffer through
 * one is a reference like any other, and a trap discards it. */
#include "vm/helpers/dynptr.h"
#include "vm/helpers/helper.h"
#include "vm/maps/ringbuf.h"

static const uint32_t READ_ONLY = (uint32_t)1 << 31;

static uint32_t size_of(const struct dynptr *d)
{
    return d->size & DYNPTR_MAX_SIZE;
}

bool dynptr_is_sound(struct skep_env *env, uint64_t addr)
{
    const uint64_t low = env_stack_low(env), high = (uintptr_t)env->stack + sizeof(env->stack);
    const struct env_ref *ref;
    struct dynptr d;

    if (addr < low || addr > high - sizeof(d))
        return false;
    memcpy(&d, helper_ptr(addr), sizeof(d));
    if (!d.data)
        return true;
    switch (d.size >> DYNPTR_TYPE_SHIFT & 7) {
    case DYNPTR_LOCAL: return env_find_mem(env, d.data, (uint64_t)size_of(&d) + d.off, ENV_READ | ENV_WRITE) != NULL;
    case DYNPTR_RINGBUF: ref = env_ref_find(env, d.data); return ref && (uint64_t)size_of(&d) + d.off <= ref->size;
    default: return false;
    }
}

/* Fills the dynptr; nothing when err says so. @return err as a helper returns it. */
static uint64_t set(uint64_t at, uint64_t data, uint64_t size, enum dynptr_type type, int err)
{
    struct dynptr d = {0};

    if (!err)
        d = (struct dynptr){.data = data, .size = (uint32_t)size | (uint32_t)type << DYNPTR_TYPE_SHIFT};
    memcpy(helper_ptr(at), &d, sizeof(d));
    return helper_error(err);
}

static struct dynptr get(uint64_t at)
{
    struct dynptr d;

    memcpy(&d, helper_ptr(at), sizeof(d));
    return d;
}

static bool fits(const struct dynptr *d, uint64_t off, uint64_t len)
{
    return len <= size_of(d) && off <= size_of(d) - len;
}

HELPER_BODY(dynptr_from_mem)
{
    uint32_t size = (uint32_t)a2;

    return set(a4, a1, size, DYNPTR_LOCAL, size > DYNPTR_MAX_SIZE ? -E2BIG : a3 ? -EINVAL : 0);
}

HELPER_BODY(dynptr_read)
{
    const struct dynptr d = get(a3);
    uint32_t len = (uint32_t)a2, off = (uint32_t)a4;

    if (!d.data || a5)
        return helper_error(-EINVAL);
    if (!fits(&d, off, len))
        return helper_error(-E2BIG);
    memmove(helper_ptr(a1), helper_ptr(d.data + d.off + off), len);
    return 0;
}

HELPER_BODY(dynptr_write)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, len = (uint32_t)a4;

    if (!d.data || d.size & READ_ONLY)
        return helper_error(-EINVAL);
    if (!fits(&d, off, len))
        return helper_error(-E2BIG);
    if (a5)
        return helper_error(-EINVAL);
    memmove(helper_ptr(d.data + d.off + off), helper_ptr(a3), len);
    return 0;
}

HELPER_BODY(dynptr_data)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, len = (uint32_t)a3;

    if (!d.data || !fits(&d, off, len) || d.size & READ_ONLY)
        return 0;
    return d.data + d.off + off;
}

HELPER_BODY(ringbuf_reserve_dynptr)
{
    uint32_t size = (uint32_t)a2;
    uint64_t record;

    if (a3)
        return set(a4, 0, 0, DYNPTR_NONE, -EINVAL);
    if (size > DYNPTR_MAX_SIZE)
        return set(a4, 0, 0, DYNPTR_NONE, -E2BIG);
    record = helper_ringbuf_reserve(env, a1, size, 0, 0, 0);
    return set(a4, record, size, DYNPTR_RINGBUF, record ? 0 : -EINVAL);
}

static uint64_t finish(struct skep_env *env, uint64_t at, uint64_t flags, skep_helper_fn how)
{
    const struct dynptr d = get(at);

    if (!d.data)
        return 0;
    how(env, d.data, flags, 0, 0, 0);
    set(at, 0, 0, DYNPTR_NONE, -EINVAL);
    return 0;
}

HELPER_BODY(ringbuf_submit_dynptr)
{
    return finish(env, a1, a2, helper_ringbuf_submit);
}

HELPER_BODY(ringbuf_discard_dynptr)
{
    return finish(env, a1, a2, helper_ringbuf_discard);
}
