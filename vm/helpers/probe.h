/* Reading what may not be there, for helpers that read on behalf of a program. */
#ifndef VM_HELPERS_PROBE_H
#define VM_HELPERS_PROBE_H

#include "vm/env.h"

/** Which memory is meant where a helper does not say: below the top of user space it is user memory. */
enum env_mem_kind probe_kind(uint64_t addr);

/** Copies a string with its NUL, at most size bytes, cut with a NUL. @return bytes with the NUL, or
 *  zeroes and -EFAULT or -ERANGE.
 */
int64_t probe_str(struct skep_env *env, char *to, uint64_t size, uint64_t src, enum env_mem_kind kind);

#endif
