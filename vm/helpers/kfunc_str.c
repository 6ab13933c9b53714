/*
 * Kernel functions on strings that lie where the program says, in any memory that the run may probe. A place that
 * cannot be read gives -EFAULT, an address that is none of the kernel's -ERANGE, a string without an end within 64 KiB
 * -E2BIG.
 */
#include "vm/helpers/kfunc.h"

enum { LONGEST = 65536 /* Linux's XATTR_SIZE_MAX */ };

/* The byte there; a negative error number. */
static int byte_at(struct skep_env *env, uint64_t addr)
{
    const unsigned char *p = env_probe(env, addr, 1, ENV_MEM_KERNEL);

    return p ? *p : -EFAULT;
}

/* May strings begin there? 0, or -ERANGE. */
static int begins(struct skep_env *env, uint64_t addr)
{
    return byte_at(env, addr) >= 0 || (int64_t)addr >> 47 == -1 ? 0 : -ERANGE;
}

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int64_t compare(struct skep_env *env, uint64_t a, uint64_t b, bool fold)
{
    if (begins(env, a) || begins(env, b))
        return -ERANGE;
    for (uint32_t i = 0; i < LONGEST; i++) {
        int x = byte_at(env, a + i), y = x < 0 ? x : byte_at(env, b + i);

        if (y < 0)
            return y;
        if (fold)
            x = lower(x), y = lower(y);
        if (x != y)
            return (signed char)x < (signed char)y ? -1 : 1;
        if (!x)
            return 0;
    }
    return -E2BIG;
}

KFUNC_BODY(bpf_strcmp)
{
    return (uint64_t)compare(env, a1, a2, false);
}

KFUNC_BODY(bpf_strcasecmp)
{
    return (uint64_t)compare(env, a1, a2, true);
}

/* Where `wanted` is first, or the end where `or_end` says so; at most n bytes are looked at. */
static int64_t find(struct skep_env *env, uint64_t s, uint64_t n, unsigned char wanted, bool or_end)
{
    uint32_t i;

    if (begins(env, s))
        return -ERANGE;
    for (i = 0; i < n && i < LONGEST; i++) {
        int c = byte_at(env, s + i);

        if (c < 0)
            return c;
        if (c == wanted || (!c && or_end))
            return i;
        if (!c)
            return -ENOENT;
    }
    return i == LONGEST ? -E2BIG : -ENOENT;
}

KFUNC_BODY(bpf_strchr)
{
    return (uint64_t)find(env, a1, LONGEST, (unsigned char)a2, false);
}

KFUNC_BODY(bpf_strnchr)
{
    return (uint64_t)find(env, a1, a2, (unsigned char)a3, false);
}

KFUNC_BODY(bpf_strchrnul)
{
    return (uint64_t)find(env, a1, LONGEST, (unsigned char)a2, true);
}

KFUNC_BODY(bpf_strrchr)
{
    int64_t last = -ENOENT;

    if (begins(env, a1))
        return helper_error(-ERANGE);
    for (uint32_t i = 0; i < LONGEST; i++) {
        int c = byte_at(env, a1 + i);

        if (c < 0)
            return helper_error(c);
        if (c == (unsigned char)a2)
            last = i;
        if (!c)
            return (uint64_t)last;
    }
    return helper_error(-E2BIG);
}

static int64_t length(struct skep_env *env, uint64_t s, uint64_t n)
{
    uint32_t i;

    if (begins(env, s))
        return -ERANGE;
    for (i = 0; i < n && i < LONGEST; i++) {
        int c = byte_at(env, s + i);

        if (c <= 0)
            return c < 0 ? c : (int64_t)i;
    }
    return i == LONGEST ? -E2BIG : (int64_t)i;
}

KFUNC_BODY(bpf_strlen)
{
    return (uint64_t)length(env, a1, LONGEST);
}

KFUNC_BODY(bpf_strnlen)
{
    return (uint64_t)length(env, a1, a2);
}

/* How many bytes from the beginning are among those of `set` (`in`), or are not. */
static int64_t span(struct skep_env *env, uint64_t s, uint64_t set, bool in)
{
    if (begins(env, s) || begins(env, set))
        return -ERANGE;
    for (uint32_t i = 0; i < LONGEST; i++) {
        int c = byte_at(env, s + i), of = 0;
        uint32_t k = 0;

        if (c <= 0)
            return c < 0 ? c : (int64_t)i;
        for (; k < LONGEST; k++) {
            of = byte_at(env, set + k);
            if (of < 0)
                return of;
            if (!of || of == c)
                break;
        }
        if (k == LONGEST)
            return -E2BIG;
        if (!of == in)
            return i;
    }
    return -E2BIG;
}

KFUNC_BODY(bpf_strspn)
{
    return (uint64_t)span(env, a1, a2, true);
}

KFUNC_BODY(bpf_strcspn)
{
    return (uint64_t)span(env, a1, a2, false);
}

/* Where s2 is first within the first n bytes of s1. */
static int64_t search(struct skep_env *env, uint64_t s1, uint64_t s2, uint64_t n)
{
    if (begins(env, s1) || begins(env, s2))
        return -ERANGE;
    for (uint32_t i = 0; i < LONGEST; i++) {
        uint32_t k;

        for (k = 0; (uint64_t)i + k <= n && k < LONGEST; k++) {
            int wanted = byte_at(env, s2 + k), c;

            if (wanted <= 0)
                return wanted < 0 ? wanted : (int64_t)i;
            if ((uint64_t)i + k == n)
                break;
            c = byte_at(env, s1 + i + k);
            if (c <= 0)
                return c < 0 ? c : -ENOENT;
            if (c != wanted)
                break;
        }
        if (k == LONGEST)
            return -E2BIG;
        if ((uint64_t)i + k == n)
            return -ENOENT;
    }
    return -E2BIG;
}

KFUNC_BODY(bpf_strstr)
{
    return (uint64_t)search(env, a1, a2, LONGEST);
}

KFUNC_BODY(bpf_strnstr)
{
    return (uint64_t)search(env, a1, a2, a3);
}
