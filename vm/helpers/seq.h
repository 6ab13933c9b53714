/* The file that an iterator writes to. */
#ifndef VM_HELPERS_SEQ_H
#define VM_HELPERS_SEQ_H

#include <stdint.h>

struct skep_env;

/** Why there is no such file: env->seq is NULL. */
extern const char seq_missing[];
/** Writes so many bytes, or none: -EOVERFLOW as a helper returns it. */
uint64_t seq_write_text(struct skep_env *env, const void *text, uint64_t size);

#endif
