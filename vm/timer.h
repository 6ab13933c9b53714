/*
 * What runs later: timers (bpf_timer), work queues (bpf_wq) and task work, in values of maps. The field of a value
 * holds the address of a record here, and the map a list of all of its records, under the map's own lock. Nothing runs
 * by itself: whoever owns the clock runs what is due (timers_run()), in the order of time.
 *
 * A record keeps the code of its callback alive, and that the map in turn; map_clear_things() cuts this, as Linux does
 * when the last descriptor of the map is closed.
 */
#ifndef VM_TIMER_H
#define VM_TIMER_H

#include "vm/env.h"

enum timer_kind { TIMER_CLOCK, TIMER_WORK, TIMER_TASK };

/* The helpers' operations, on the field at `at` of a map's value. Errors are Linux's; what they are
 * asked for inside a run they do under its epoch. */
int timer_init(struct map *map, void *at, enum timer_kind kind);
/** func: as env_call() takes it, of code. */
int timer_set_callback(void *at, const struct code *code, uint64_t func);
/** Arms it: it is due at this time of the run's clock. */
int timer_start(void *at, uint64_t due);
/** @return 1: it was armed; 0; -EINVAL: there is none; -EDEADLK: its own callback runs in env. */
int timer_cancel(void *at, const struct skep_env *env);
/** init, set_callback and start at once. -EBUSY: it has not run yet. */
int timer_schedule(struct map *map, void *at, const struct code *code, uint64_t func);

/** Gives back what the field holds: the value goes. */
void timer_forget(void *at);
/** The same, of all fields of the map, which hold nothing any longer. */
void timers_forget(struct map *map);
/** How many of the map's wait to run; works alone, or all. */
uint32_t timers_armed(struct map *map, bool works);

/**
 * Runs works that wait, and then timers that are due by `until` (0: works alone), the earliest first; what these start
 * is run, too. The clock of env stands at each one's time meanwhile; a fixed clock stands at `until` afterwards, unless
 * it is past that.
 *
 * @param limit  how many at most.
 * @param *ran   how many did.
 * @return 0; -EFAULT: a callback trapped, and env->trap says why.
 */
int timers_run(struct map *const *maps, uint32_t n, struct skep_env *env, uint64_t until, uint32_t limit,
               uint32_t *ran);

#endif
