/* What engines do in C because it is rare or long: compiled code calls these as it calls helpers, on the run's thread.
 * None of them looks at what checked execution checks. */
#ifndef VM_RUNTIME_H
#define VM_RUNTIME_H

#include "vm/env.h"

/** LD_ABS and LD_IND: size bytes of the packet in network order. off: its low half counts; negative ones are Linux's
 *  SKF_NET_OFF and SKF_LL_OFF. @return below 0: out of bounds, which ends the function with 0 as in Linux. */
int64_t run_load_packet(struct skep_env *env, uint64_t off, uint64_t size);

/** The 32 bits at addr, or the packet pointer that is read there when it is such a field of the context. */
uint64_t run_load_ctx(struct skep_env *env, uint64_t addr);

/** `size` bytes (1, 2, 4, 8) at an address that a pointer to a kernel object gave, zero-extended: memory that was
 *  registered, a packet pointer field of the context, or 0 where there is nothing. */
uint64_t run_probe_load(struct skep_env *env, uint64_t addr, uint64_t size);

/** Room for the frame of a local call of a program that may go too deep. Counts it in env->frame, or notes the trap. */
void run_push_frame(struct skep_env *env, uint64_t func);

/** A tail call's target as its array holds it (NULL: nothing): counted, and told whether it may be made. NULL: the call
 *  falls through, as Linux's does for an empty entry and once too many were made; or a refusal, noted as a trap. */
const struct code *run_tail_call(struct skep_env *env, const struct code *to);

#endif
