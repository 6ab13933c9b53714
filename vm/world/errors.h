/* Names of error numbers, as a world file may have them. */
#ifndef VM_WORLD_ERRORS_H
#define VM_WORLD_ERRORS_H

#include <stdint.h>

/** "ENOENT" to -2; 0: no such name. */
int64_t world_errno(const char *name);

#endif
