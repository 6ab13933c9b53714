/* Dynptrs: memory and its size in one, made and followed by helpers alone. What a run holds of a ring buffer through
 * one is a reference like any other, and a trap discards it. */
#include "vm/helpers/dynptr.h"
#include "vm/ctx/packet.h"
#include "vm/helpers/kfunc.h"
#include "vm/maps/ringbuf.h"

static const uint32_t READ_ONLY = (uint32_t)1 << 31;

static uint32_t size_of(const struct dynptr *d)
{
    return d->size & DYNPTR_MAX_SIZE;
}

/* Is it one that a helper made for the callback that runs now? */
static bool is_handed_over(const struct skep_env *env, uint64_t addr)
{
    for (uint32_t i = 0; i < env->n_mems; i++)
        if (env->mems[i].kind == ENV_MEM_DYNPTR && env->mems[i].guest == addr)
            return true;
    return false;
}

bool dynptr_is_sound(struct skep_env *env, uint64_t addr)
{
    const uint64_t low = env_stack_low(env), high = (uintptr_t)env->stack + sizeof(env->stack);
    const struct env_ref *ref;
    struct dynptr d;

    if ((addr < low || addr > high - sizeof(d)) && !is_handed_over(env, addr))
        return false;
    memcpy(&d, helper_ptr(addr), sizeof(d));
    if (!d.data)
        return true;
    switch (d.size >> DYNPTR_TYPE_SHIFT & 7) {
    case DYNPTR_LOCAL: return env_find_mem(env, d.data, (uint64_t)size_of(&d) + d.off, ENV_READ | ENV_WRITE) != NULL;
    case DYNPTR_SKB: return env->skb && d.data == (uintptr_t)env->ctx;
    case DYNPTR_XDP: return helper_is_xdp(env) && d.data == (uintptr_t)env->ctx;
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

static unsigned type_of(const struct dynptr *d)
{
    return d->size >> DYNPTR_TYPE_SHIFT & 7;
}

static bool fits(const struct dynptr *d, uint64_t off, uint64_t len)
{
    return len <= size_of(d) && off <= size_of(d) - len;
}

/* Bytes that a helper may touch at their own place; NULL: they are beyond the packet, or not all in its linear part. */
static unsigned char *place(struct skep_env *env, const struct dynptr *d, uint32_t off, uint32_t len)
{
    uint64_t from = (uint64_t)d->off + off;

    if (!dynptr_is_packet(type_of(d)))
        return helper_ptr(d->data + from);
    return from + len <= packet_linear(env) ? env->packet.data + from : NULL;
}

static uint64_t load(struct skep_env *env, void *to, const struct dynptr *d, uint32_t off, uint32_t len)
{
    uint64_t from = (uint64_t)d->off + off;

    switch (type_of(d)) {
    case DYNPTR_SKB: return helper_skb_load_bytes(env, d->data, from, (uintptr_t)to, len, 0);
    case DYNPTR_XDP: return helper_xdp_load_bytes(env, d->data, from, (uintptr_t)to, len, 0);
    default: memmove(to, helper_ptr(d->data + from), len); return 0;
    }
}

static uint64_t store(struct skep_env *env, const struct dynptr *d, uint32_t off, const void *from, uint32_t len,
                      uint64_t flags)
{
    uint64_t to = (uint64_t)d->off + off;

    switch (type_of(d)) {
    case DYNPTR_SKB: return helper_skb_store_bytes(env, d->data, to, (uintptr_t)from, len, flags);
    case DYNPTR_XDP: return helper_xdp_store_bytes(env, d->data, to, (uintptr_t)from, len, 0);
    default: memmove(helper_ptr(d->data + to), from, len); return 0;
    }
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
    return load(env, helper_ptr(a1), &d, off, len);
}

HELPER_BODY(dynptr_write)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, len = (uint32_t)a4;

    if (!d.data || d.size & READ_ONLY)
        return helper_error(-EINVAL);
    if (!fits(&d, off, len))
        return helper_error(-E2BIG);
    if (a5 && type_of(&d) != DYNPTR_SKB)
        return helper_error(-EINVAL);
    return store(env, &d, off, helper_ptr(a3), len, a5);
}

HELPER_BODY(dynptr_data)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, len = (uint32_t)a3;

    if (!d.data || !fits(&d, off, len) || d.size & READ_ONLY || dynptr_is_packet(type_of(&d)))
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

/* Of the whole packet. Programs whose type may not write packets get it read-only. */
static uint64_t of_packet(struct skep_env *env, uint64_t at, uint64_t flags, enum dynptr_type type)
{
    const struct prog_type *prog = env->code ? env->code->prog->type : NULL;
    uint32_t size = packet_len(env);
    uint64_t err = set(at, (uintptr_t)env->ctx, size, type, flags ? -EINVAL : size > DYNPTR_MAX_SIZE ? -E2BIG : 0);
    struct dynptr d = get(at);

    if (!err && prog && !(prog->traits & PROG_PKT_WRITE)) {
        d.size |= READ_ONLY;
        memcpy(helper_ptr(at), &d, sizeof(d));
    }
    return err;
}

KFUNC_BODY(bpf_dynptr_from_skb)
{
    if (!env->skb)
        return helper_refuse(env, "bpf_dynptr_from_skb() needs the context of a program on socket buffers");
    return of_packet(env, a3, a2, DYNPTR_SKB);
}

KFUNC_BODY(bpf_dynptr_from_xdp)
{
    if (!helper_is_xdp(env))
        return helper_refuse(env, "bpf_dynptr_from_xdp() needs the context of an XDP program");
    return of_packet(env, a3, a2, DYNPTR_XDP);
}

/* What is not in the linear part is copied to the caller's buffer, if it has one. */
KFUNC_BODY(bpf_dynptr_slice)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, len = (uint32_t)a4;
    const unsigned char *at;

    if (!d.data || !fits(&d, off, len))
        return 0;
    at = place(env, &d, off, len);
    if (at || !a3)
        return (uintptr_t)at;
    return load(env, helper_ptr(a3), &d, off, len) ? 0 : a3;
}

/* Other than in Linux, what is not in the linear part is not copied: a buffer on the stack that is written through this
 * pointer could be used, meanwhile, for what the verifier trusts. Its own place is given, and the bytes are the same.
 */
KFUNC_BODY(bpf_dynptr_slice_rdwr)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, len = (uint32_t)a4;
    unsigned char *at;

    if (!d.data || d.size & READ_ONLY || !fits(&d, off, len))
        return 0;
    at = place(env, &d, off, len);
    if (at || !a3)
        return (uintptr_t)at;
    return (uint64_t)d.off + off + len <= packet_len(env) ? (uintptr_t)(env->packet.data + d.off + off) : 0;
}

KFUNC_BODY(bpf_dynptr_adjust)
{
    struct dynptr d = get(a1);
    uint32_t start = (uint32_t)a2, end = (uint32_t)a3;

    if (!d.data || start > end)
        return helper_error(-EINVAL);
    if (end > size_of(&d))
        return helper_error(-ERANGE);
    d.off += start;
    d.size = (d.size & ~(uint32_t)DYNPTR_MAX_SIZE) | (end - start);
    memcpy(helper_ptr(a1), &d, sizeof(d));
    return 0;
}

KFUNC_BODY(bpf_dynptr_is_null)
{
    return !get(a1).data;
}

KFUNC_BODY(bpf_dynptr_is_rdonly)
{
    const struct dynptr d = get(a1);

    return d.data && d.size & READ_ONLY;
}

KFUNC_BODY(bpf_dynptr_size)
{
    const struct dynptr d = get(a1);

    return d.data ? size_of(&d) : helper_error(-EINVAL);
}

KFUNC_BODY(bpf_dynptr_clone)
{
    const struct dynptr d = get(a1);

    memcpy(helper_ptr(a2), &d, sizeof(d));
    return d.data ? 0 : helper_error(-EINVAL);
}

KFUNC_BODY(bpf_dynptr_copy)
{
    const struct dynptr to = get(a1), from = get(a3);
    uint32_t to_off = (uint32_t)a2, from_off = (uint32_t)a4, size = (uint32_t)a5;
    const unsigned char *src;
    unsigned char part[256];
    uint64_t err = 0;

    if (!from.data || !to.data || to.size & READ_ONLY)
        return helper_error(-EINVAL);
    if (!fits(&to, to_off, size) || !fits(&from, from_off, size))
        return helper_error(-E2BIG);
    src = place(env, &from, from_off, size);
    if (src)
        return store(env, &to, to_off, src, size, 0);
    for (uint32_t done = 0, n; !err && done < size; done += n) {
        n = size - done < sizeof(part) ? size - done : sizeof(part);
        err = load(env, part, &from, from_off + done, n);
        if (!err)
            err = store(env, &to, to_off + done, part, n, 0);
    }
    return err;
}

KFUNC_BODY(bpf_dynptr_memset)
{
    const struct dynptr d = get(a1);
    uint32_t off = (uint32_t)a2, size = (uint32_t)a3;
    unsigned char part[256];
    uint64_t err = 0;

    if (!d.data || d.size & READ_ONLY)
        return helper_error(-EINVAL);
    if (!fits(&d, off, size))
        return helper_error(-E2BIG);
    memset(part, (int)(a4 & 0xff), sizeof(part));
    for (uint32_t done = 0, n; !err && done < size; done += n) {
        n = size - done < sizeof(part) ? size - done : sizeof(part);
        err = store(env, &d, off + done, part, n, 0);
    }
    return err;
}
