/*
 * Epochs: what a running program may still see is not freed. A run enters once and exits once; what was unlinked while
 * it ran (elements, inner maps, code) is handed to epoch_retire() and freed after every run that was inside then has
 * left. One `struct epoch` serves one family of maps and programs (a process may have several; skep makes one on first
 * use and shares it, since maps travel between instances).
 *
 * Entering and leaving cost two uncontended stores; a section must not block on another section's end.
 */
#ifndef VM_EPOCH_H
#define VM_EPOCH_H

struct epoch_slot;

/** Begins a section on this thread. Nests through distinct slots. @return a handle for epoch_exit(), NULL only when out
 *  of memory on a thread's first entry (the caller then fails its run with -ENOMEM). */
struct epoch_slot *epoch_enter(void);
void epoch_exit(struct epoch_slot *slot);

/** Frees p with fn after all present sections ended; at once when there are none. May be called inside a section. Never
 *  fails: when memory is short it waits, unless inside a section, where the object is kept for a later retire. */
void epoch_retire(void *p, void (*fn)(void *p));

/** Waits until everything retired so far was freed. Not inside a section. For tests and closing down. */
void epoch_drain(void);

#endif
