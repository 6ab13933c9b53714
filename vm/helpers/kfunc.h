/* What bodies of kernel functions share: those of helpers, under names of their own. */
#ifndef VM_HELPERS_KFUNC_H
#define VM_HELPERS_KFUNC_H

#include "vm/abi/kfunc_bodies.h"
#include "vm/helpers/helper.h"

#define KFUNC_BODY(name)                                                                                               \
    uint64_t kfunc_##name(struct skep_env *env __attribute__((unused)), uint64_t a1 __attribute__((unused)),           \
                          uint64_t a2 __attribute__((unused)), uint64_t a3 __attribute__((unused)),                    \
                          uint64_t a4 __attribute__((unused)), uint64_t a5 __attribute__((unused)))

#endif
