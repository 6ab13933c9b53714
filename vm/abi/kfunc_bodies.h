/* Prototypes of the bodies that kfuncs.def says are here: kfunc_bpf_task_acquire() and so on. */
#ifndef VM_ABI_KFUNC_BODIES_H
#define VM_ABI_KFUNC_BODIES_H

#include <skep/types.h>

#define BODY(name)                                                                                                     \
    uint64_t kfunc_##name(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
#define MISSING(name)
#define KFUNC(name, state, returns, takes, flags, who) state(name)
#include "vm/abi/kfuncs.def"
#undef BODY
#undef MISSING

#endif
