/*
 * See clock.h. An anchor counts the cycles after the system was asked, so that what follows from it lags by as long as
 * the answer took; a question that took long, because the thread was interrupted, makes none. The rate is taken over 10
 * ms to a second and shortened by 1/16384, more than an anchor can be off, so that no anchor's end lies past the next
 * one's beginning; where the system slowed its clock down meanwhile, the next begins where that one ended.
 */
#include "vm/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    SPAN_NS = 100000,       /* that an anchor serves */
    SETTLED_NS = 10000000,  /* before this the rate is not known well enough */
    WINDOW_NS = 1000000000, /* after this it is measured anew */
    LONGEST = 600,          /* cycles that a good answer takes */
};

static uint64_t system_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#if defined(__x86_64__)
/* The system knows whether cycles are the same on all processors and never stop: when it counts them itself. */
static int counts_cycles(void)
{
    int fd, allowed = 0;
    char name[4] = {0};
    ssize_t n;

    if (prctl(PR_GET_TSC, &allowed) || allowed != PR_TSC_ENABLE)
        return 0;
    fd = open("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = read(fd, name, sizeof(name));
    close(fd);
    return n == 4 && !memcmp(name, "tsc\n", 4);
}

static void measure(struct fast_clock *c, uint64_t cycles, uint64_t ns)
{
    uint64_t for_ns = ns - c->first_ns;

    if (c->first_cycles && for_ns < SETTLED_NS)
        return;
    if (c->first_cycles && for_ns < 2ull * WINDOW_NS && cycles > c->first_cycles) {
        c->rate = (for_ns << 32) / (cycles - c->first_cycles);
        c->rate -= c->rate >> 14;
    }
    if (!c->first_cycles || for_ns >= WINDOW_NS) {
        c->first_cycles = cycles;
        c->first_ns = ns;
    }
}

uint64_t fast_clock_ask(struct fast_clock *c)
{
    uint64_t end = c->ns + (c->span * c->rate >> 32), before, after, ns;

    if (c->kind == FAST_CLOCK_NEW)
        c->kind = counts_cycles() ? FAST_CLOCK_CYCLES : FAST_CLOCK_SYSTEM;
    if (c->kind == FAST_CLOCK_SYSTEM)
        return system_ns();
    before = __rdtsc();
    ns = system_ns();
    after = __rdtsc();
    ns = ns > end ? ns : end;
    if (after - before > LONGEST) {
        c->ns = ns;
        c->span = 0;
        return ns;
    }
    measure(c, after, ns);
    c->cycles = after;
    c->ns = ns;
    c->span = c->rate ? ((uint64_t)SPAN_NS << 32) / c->rate : 0;
    return ns;
}
#else
uint64_t fast_clock_ask(struct fast_clock *c)
{
    c->kind = FAST_CLOCK_SYSTEM;
    return system_ns();
}
#endif
