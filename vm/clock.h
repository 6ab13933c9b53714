/*
 * CLOCK_MONOTONIC for who asks often. Where the system's clock itself counts the processor's cycles, a reading is the
 * system's up to a tenth of a millisecond ago and the cycles since then: half of what asking the system takes, most of
 * which is waiting for the instructions before it. Elsewhere each reading asks the system.
 *
 * What one struct returns never goes back. It is not ahead of CLOCK_MONOTONIC while that runs as it did of late, and
 * behind by well under a microsecond.
 */
#ifndef VM_CLOCK_H
#define VM_CLOCK_H

#include <stdint.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* All zero: not used yet. Belongs to one thread at a time. */
struct fast_clock {
    uint64_t cycles, ns;             /* the anchor: the system's time at some moment */
    uint64_t span;                   /* cycles from there on that it serves; 0: none */
    uint64_t rate;                   /* ns a cycle, times 2^32, a little less than what was seen; 0: not known yet */
    uint64_t first_cycles, first_ns; /* since when the rate is measured */
    enum { FAST_CLOCK_NEW, FAST_CLOCK_CYCLES, FAST_CLOCK_SYSTEM } kind;
};

uint64_t fast_clock_ask(struct fast_clock *clock);

/** ns since boot. */
static inline uint64_t fast_clock_read(struct fast_clock *clock)
{
#if defined(__x86_64__)
    uint64_t since = __rdtsc() - clock->cycles;

    if (__builtin_expect(since < clock->span, 1))
        return clock->ns + (since * clock->rate >> 32);
#endif
    return fast_clock_ask(clock);
}

#endif
