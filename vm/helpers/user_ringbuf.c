/*
 * bpf_user_ringbuf_drain(): the program's function is called with a dynptr of each sample. The dynptr lies here, where
 * the program cannot write to it; it and the sample are memory of the run as long as the call lasts.
 */
#include "vm/maps/user_ringbuf.h"
#include "vm/helpers/dynptr.h"
#include "vm/helpers/helper.h"

enum { MAX_SAMPLES = 128 << 10, NO_WAKEUP = 1, FORCE_WAKEUP = 2 };

/* @return what the function returned; the trap that ended the run is in env. */
static uint64_t hand_over(struct skep_env *env, uint64_t func, uint64_t ctx, void *sample, uint32_t size)
{
    struct dynptr d = {.data = (uintptr_t)sample, .size = size | (uint32_t)DYNPTR_LOCAL << DYNPTR_TYPE_SHIFT};
    uint64_t ret;

    if (env->n_mems + 2 > ENV_MAX_MEMS)
        return env_trap(env, TRAP_no_memory, 0, 0, "another drain of a user ring buffer");
    env->mems[env->n_mems++] = (struct env_mem){.guest = (uintptr_t)&d,
                                                .host = (unsigned char *)&d,
                                                .size = sizeof(d),
                                                .kind = ENV_MEM_DYNPTR,
                                                .name = "dynptr"};
    env->mems[env->n_mems++] = (struct env_mem){.guest = (uintptr_t)sample,
                                                .host = sample,
                                                .size = size,
                                                .access = ENV_READ | ENV_WRITE,
                                                .kind = ENV_MEM_RECORD,
                                                .name = "sample"};
    ret = env_call(env, func, (uintptr_t)&d, ctx, 0, 0, 0);
    env->n_mems -= 2;
    env_forget_mem(env);
    return ret;
}

/* The samples that the function saw, or an error; those before it are gone all the same. */
static int64_t drain(struct skep_env *env, struct map *map, uint64_t func, uint64_t ctx)
{
    int64_t samples = 0;

    for (int i = 0; i < MAX_SAMPLES; i++) {
        void *sample;
        uint32_t size;
        int err = user_ringbuf_take(map, &sample, &size);
        uint64_t ret;

        if (err == -EAGAIN)
            continue;
        if (err)
            return err == -ENODATA ? samples : err;
        ret = hand_over(env, func, ctx, sample, size);
        user_ringbuf_give_back(map, size);
        samples++;
        if (ret || env->trap.kind)
            break;
    }
    return samples;
}

HELPER_BODY(user_ringbuf_drain)
{
    struct map *map = helper_map(a1);
    int64_t samples;

    if (a4 & ~(uint64_t)(NO_WAKEUP | FORCE_WAKEUP))
        return helper_error(-EINVAL);
    if (!user_ringbuf_begin(map))
        return helper_error(-EBUSY);
    samples = drain(env, map, a2, a3);
    user_ringbuf_end(map, a4 & FORCE_WAKEUP || (!(a4 & NO_WAKEUP) && samples > 0));
    return (uint64_t)samples;
}
