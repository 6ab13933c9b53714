/*
 * What a run does to the world outside of it: packets that are sent or redirected, keys that were pressed. Nothing of
 * it happens; whoever ran the program is told, on the run's thread, in the order in which it would have happened.
 */
#ifndef VM_EFFECT_H
#define VM_EFFECT_H

#include <skep/types.h>

struct skep_env;
struct prog_type;

/** Tells of an effect; sizes and names that are not known stay 0 and NULL. */
void effect_tell(struct skep_env *env, const struct skep_effect *effect);

/** Remembers where the verdict that follows shall send the packet. map: NULL for an interface. */
void effect_aim(struct skep_env *env, const char *what, uint32_t ifindex, uint64_t flags);

/** After a run: tells of what its verdict makes of the packet, where that is to be sent somewhere. */
void effect_of_verdict(struct skep_env *env, const struct prog_type *type, uint32_t retval);

#endif
