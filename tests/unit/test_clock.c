/* The clock of vm/clock.h beside the system's: never back, never ahead, never far behind. */
#include "vm/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

enum { BEHIND = 20000 /* ns; a sanitizer's build asks slowly */, TURNS = 2000000 };

static uint64_t system_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void it_never_goes_back(void **state)
{
    struct fast_clock clock = {0};
    uint64_t last = 0;

    (void)state;
    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t now = fast_clock_read(&clock);

        assert_true(now >= last);
        last = now;
    }
}

static void it_stays_close_to_the_systems(void **state)
{
    struct fast_clock clock = {0};
    uint64_t start = system_ns(), before, now, after;

    (void)state;
    do {
        before = system_ns();
        now = fast_clock_read(&clock);
        after = system_ns();
        assert_true(now <= after);
        assert_true(now + BEHIND >= before);
    } while (after - start < 1500000000); /* past the window of the rate */
}

static void an_anchor_that_is_old_is_not_used(void **state)
{
    const struct timespec while_asleep = {.tv_nsec = 3000000};
    struct fast_clock clock = {0};

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        uint64_t before;

        nanosleep(&while_asleep, NULL);
        before = system_ns();
        assert_true(fast_clock_read(&clock) + BEHIND >= before);
        assert_true(fast_clock_read(&clock) <= system_ns());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_never_goes_back),
        cmocka_unit_test(it_stays_close_to_the_systems),
        cmocka_unit_test(an_anchor_that_is_old_is_not_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
