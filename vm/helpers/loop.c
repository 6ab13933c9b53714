/* bpf_loop: calls back until the callback says stop, with Linux's bound of 2^23 rounds. */
#include "vm/helpers/helper.h"

enum { MAX_ROUNDS = 1 << 23 };

HELPER_BODY(loop)
{
    uint32_t rounds = (uint32_t)a1, i;

    if (a4)
        return helper_error(-EINVAL);
    if (rounds > MAX_ROUNDS)
        return helper_error(-E2BIG);
    for (i = 0; i < rounds; i++) {
        uint64_t ret = env_call(env, a2, i, a3, 0, 0, 0);

        if (env->trap.kind)
            return 0;
        if (ret)
            return i + 1;
    }
    return i;
}
