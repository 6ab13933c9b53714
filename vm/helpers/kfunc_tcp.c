/*
 * Kernel functions that congestion controls are made of: Linux's own arithmetic on a struct tcp_sock of the run's
 * world. What they write is the run's own copy, as what programs write there is. Where nothing stands, nothing happens.
 */
#include "vm/btf/bits.h"
#include "vm/btf/show.h"
#include "vm/helpers/kernel_field.h"
#include "vm/helpers/kfunc.h"
#include "vm/prog.h"

static uint32_t get(struct skep_env *env, uint64_t tp, const char *member)
{
    uint64_t value = 0;

    return kernel_field(env, tp, "tcp_sock", member, &value) ? (uint32_t)value : 0;
}

static bool find(struct skep_env *env, const char *member, struct btf_place *at)
{
    const struct btf *btf = env->code->prog->kernel_btf;
    uint32_t id = btf ? btf_find(btf, "tcp_sock", BTF_STRUCT) : 0;

    return id && btf_find_place(btf, id, member, at);
}

static bool is_limited(struct skep_env *env, uint64_t tp)
{
    const unsigned char *from;
    struct btf_place at;

    if (!find(env, "is_cwnd_limited", &at) || !at.bits)
        return false;
    from = env_probe(env, tp + at.off, (at.bit_off + at.bits + 7) / 8, ENV_MEM_KERNEL);
    return from && bits_get(from, at.bit_off, at.bits);
}

static void put(struct skep_env *env, uint64_t tp, const char *member, uint32_t value)
{
    struct btf_place at;
    unsigned char *to;

    if (!find(env, member, &at) || at.bits || at.size > sizeof(uint64_t))
        return;
    to = env_find_mem(env, tp + at.off, at.size, ENV_WRITE);
    if (to)
        bits_set(to, 0, (unsigned)at.size * 8, value);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

KFUNC_BODY(tcp_reno_ssthresh)
{
    return most(get(env, a1, "snd_cwnd") >> 1, 2);
}

KFUNC_BODY(tcp_reno_undo_cwnd)
{
    return most(get(env, a1, "snd_cwnd"), get(env, a1, "prior_cwnd"));
}

/* As many as are left over once the threshold is reached. */
KFUNC_BODY(tcp_slow_start)
{
    uint32_t old = get(env, a1, "snd_cwnd"), window = least(old + (uint32_t)a2, get(env, a1, "snd_ssthresh"));

    put(env, a1, "snd_cwnd", least(window, get(env, a1, "snd_cwnd_clamp")));
    return (uint32_t)a2 - (window - old);
}

/* One more for each `w` that were acknowledged. */
static void advance(struct skep_env *env, uint64_t tp, uint32_t w, uint32_t acked)
{
    uint32_t window = get(env, tp, "snd_cwnd"), count = get(env, tp, "snd_cwnd_cnt");

    if (!w)
        return;
    if (count >= w) { /* left over from a larger w */
        count = 0;
        window++;
    }
    count += acked;
    window += count / w;
    put(env, tp, "snd_cwnd_cnt", count % w);
    put(env, tp, "snd_cwnd", least(window, get(env, tp, "snd_cwnd_clamp")));
}

KFUNC_BODY(tcp_cong_avoid_ai)
{
    advance(env, a1, (uint32_t)a2, (uint32_t)a3);
    return 0;
}

KFUNC_BODY(tcp_reno_cong_avoid)
{
    uint32_t window = get(env, a1, "snd_cwnd"), acked = (uint32_t)a3;
    bool slow = window < get(env, a1, "snd_ssthresh");

    if (!is_limited(env, a1) && !(slow && window < 2 * get(env, a1, "max_packets_out")))
        return 0;
    if (slow) {
        acked = (uint32_t)kfunc_tcp_slow_start(env, a1, acked, 0, 0, 0);
        if (!acked)
            return 0;
    }
    advance(env, a1, get(env, a1, "snd_cwnd"), acked);
    return 0;
}
