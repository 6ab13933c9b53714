/*
 * bpf_spin_lock: 4 bytes in a map value, 0 free and 1 held, for all threads that share the map. A run holds one at
 * most, as Linux's verifier has it; env->spin_lock is where it stands, so that whoever ends the run can open it.
 */
#include "vm/helpers/helper.h"
#include <sched.h>

enum { WAIT_COST = 8, TRIES_A_TURN = 64 };

HELPER_BODY(spin_lock)
{
    uint32_t *lock = helper_ptr(a1);
    unsigned tries = 0;

    if (env->spin_lock)
        return env_trap(env, TRAP_deadlock, a1, 4, "%s",
                        env->spin_lock == lock ? "it is taken twice" : "it already holds another lock");
    while (__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)) {
        /* Waiting is charged like running: whoever set the word may never clear it. */
        env->fuel -= WAIT_COST;
        if (env->fuel < 0 && !env_refuel(env))
            return 0;
        if (++tries % TRIES_A_TURN == 0)
            sched_yield();
    }
    env->spin_lock = lock;
    return 0;
}

HELPER_BODY(spin_unlock)
{
    uint32_t *lock = helper_ptr(a1);

    if (env->in_tree)
        return helper_refuse(env, "the lock of a tree that is being changed is opened");
    if (env->spin_lock != lock)
        return helper_refuse(env, "this lock is not held");
    env->spin_lock = NULL;
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
    return 0;
}
