/*
 * Epochs: what a running program may still see is not freed. A run enters once and exits once; what was unlinked while
 * it ran (elements, inner maps, code) is handed to epoch_retire() and freed after every run that was inside then has
 * left. A process has one clock of epochs, since maps and code travel between instances and threads.
 *
 * Entering and leaving cost two uncontended stores; a section must not block on another section's end.
 */
#ifndef VM_EPOCH_H
#define VM_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

struct epoch_slot;

/** Begins a section on this thread; sections nest, the outermost counts. @return a handle for epoch_exit() on the same
 *  thread, NULL only when out of memory on a thread's first entry (the caller then fails its run with -ENOMEM). */
struct epoch_slot *epoch_enter(void);
void epoch_exit(struct epoch_slot *slot);

/** Frees p with fn after all present sections ended; at once when there are none. May be called inside a section and
 * from fn itself; objects retired inside a section wait for a later retire, for many of them, or for epoch_drain().
 * Never fails: when memory is short it waits. */
void epoch_retire(void *p, void (*fn)(void *p));

/** Waits until everything retired so far was freed. Not inside a section. For tests and closing down. */
void epoch_drain(void);

/* For who recycles memory by himself: a stamp taken after unlinking something has passed once every section that was
 * inside at that time has ended. epoch_passed() is one load; epoch_advance() looks at all threads to move what it sees.
 */
uint64_t epoch_stamp(void);
bool epoch_passed(uint64_t stamp);
void epoch_advance(void);

#endif
