/* The target of machines that have none. A target's folder defines the stronger one. */
#include "jit/target.h"

__attribute__((weak)) const struct jit_target *const jit_host_target = NULL;
__attribute__((weak)) const struct jit_target *const jit_host_plain_target = NULL;
