/* Prototypes of the bodies that helpers.def says are here: helper_map_lookup_elem() and so on. */
#ifndef VM_ABI_HELPER_BODIES_H
#define VM_ABI_HELPER_BODIES_H

#include <skep/types.h>

#define BODY(name)                                                                                                     \
    uint64_t helper_##name(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5);
#define MISSING(name)
#define ENGINE(name)
#define HELPER(id, name, state, ret, args, effects) state(name)
#include "vm/abi/helpers.def"
#undef BODY
#undef MISSING
#undef ENGINE

#endif
