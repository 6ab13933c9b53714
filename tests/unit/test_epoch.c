/* Epochs: nothing is freed under a section that began before it was retired, everything is freed in the end. */
#include "vm/epoch.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int freed;

static void count(void *p)
{
    (void)p;
    __atomic_fetch_add(&freed, 1, __ATOMIC_SEQ_CST);
}

static int freed_now(void)
{
    return __atomic_load_n(&freed, __ATOMIC_SEQ_CST);
}

static int reset(void **state)
{
    (void)state;
    epoch_drain();
    freed = 0;
    return 0;
}

static void without_sections_frees_at_once(void **state)
{
    (void)state;
    epoch_retire(NULL, count);
    assert_int_equal(freed_now(), 1);
}

static void own_section_holds_back(void **state)
{
    struct epoch_slot *s = epoch_enter();

    (void)state;
    assert_non_null(s);
    epoch_retire(NULL, count);
    assert_int_equal(freed_now(), 0);
    epoch_exit(s);
    epoch_drain();
    assert_int_equal(freed_now(), 1);
}

static void sections_nest(void **state)
{
    struct epoch_slot *outer = epoch_enter(), *inner = epoch_enter();

    (void)state;
    epoch_retire(NULL, count);
    epoch_exit(inner);
    for (int i = 0; i < 200; i++)
        epoch_retire(NULL, count);
    assert_int_equal(freed_now(), 0);
    epoch_exit(outer);
    epoch_drain();
    assert_int_equal(freed_now(), 201);
}

static void many_are_freed_without_being_asked(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct epoch_slot *s = epoch_enter();

        epoch_retire(NULL, count);
        epoch_exit(s);
    }
    assert_true(freed_now() >= 800);
    epoch_drain();
    assert_int_equal(freed_now(), 1000);
}

struct meeting {
    pthread_barrier_t in, out;
};

static void *stay_inside(void *p)
{
    struct meeting *m = p;
    struct epoch_slot *s = epoch_enter();

    pthread_barrier_wait(&m->in);
    pthread_barrier_wait(&m->out);
    epoch_exit(s);
    return NULL;
}

static void another_threads_section_holds_back(void **state)
{
    struct meeting m;
    pthread_t t;
    uint64_t stamp;

    (void)state;
    pthread_barrier_init(&m.in, NULL, 2);
    pthread_barrier_init(&m.out, NULL, 2);
    pthread_create(&t, NULL, stay_inside, &m);
    pthread_barrier_wait(&m.in);
    epoch_retire(NULL, count);
    assert_int_equal(freed_now(), 0);
    stamp = epoch_stamp();
    epoch_advance();
    assert_false(epoch_passed(stamp));
    /* A section that began later does not matter, one that goes on does. */
    epoch_exit(epoch_enter());
    assert_int_equal(freed_now(), 0);
    pthread_barrier_wait(&m.out);
    pthread_join(t, NULL);
    epoch_drain();
    assert_int_equal(freed_now(), 1);
    epoch_advance();
    assert_true(epoch_passed(stamp));
    pthread_barrier_destroy(&m.in);
    pthread_barrier_destroy(&m.out);
}

static void retire_two(void *p)
{
    int *depth = p;

    __atomic_fetch_add(&freed, 1, __ATOMIC_SEQ_CST);
    if ((*depth)-- > 0) {
        epoch_retire(p, retire_two);
        epoch_retire(NULL, count);
    }
}

static void what_is_freed_may_retire(void **state)
{
    int depth = 1000;

    (void)state;
    epoch_retire(&depth, retire_two);
    assert_int_equal(freed_now(), 2001);
}

static void *die_inside(void *p)
{
    (void)p;
    epoch_enter();
    return NULL;
}

static void a_thread_that_ended_holds_nothing_back(void **state)
{
    pthread_t t;

    (void)state;
    for (int i = 0; i < 100; i++) {
        pthread_create(&t, NULL, die_inside, NULL);
        pthread_join(t, NULL);
    }
    epoch_retire(NULL, count);
    assert_int_equal(freed_now(), 1);
}

static void a_child_is_not_held_back_by_threads_it_lacks(void **state)
{
    struct meeting m;
    pthread_t t;
    pid_t child;
    int status;

    (void)state;
    pthread_barrier_init(&m.in, NULL, 2);
    pthread_barrier_init(&m.out, NULL, 2);
    pthread_create(&t, NULL, stay_inside, &m);
    pthread_barrier_wait(&m.in);
    child = fork();
    if (!child) {
        epoch_retire(NULL, count);
        _exit(freed_now() == 1 ? 0 : 1);
    }
    pthread_barrier_wait(&m.out);
    pthread_join(t, NULL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    pthread_barrier_destroy(&m.in);
    pthread_barrier_destroy(&m.out);
}

/* Readers follow a shared pointer to a number that whoever frees it poisons first. */
enum { READERS = 4, OBJECTS = 3000 };

static uint64_t *shared;
static int done;

static void poison(void *p)
{
    uint64_t *n = p;

    *n = 0xdead;
    free(n);
}

static void *read_on(void *p)
{
    uint64_t last = 0;

    (void)p;
    while (!__atomic_load_n(&done, __ATOMIC_RELAXED)) {
        struct epoch_slot *s = epoch_enter();
        uint64_t *n = __atomic_load_n(&shared, __ATOMIC_ACQUIRE);

        for (int i = 0; i < 10; i++)
            if (*(volatile uint64_t *)n == 0xdead)
                abort();
        if (*n < last)
            abort();
        last = *n;
        epoch_exit(s);
    }
    return NULL;
}

static void *read_a_while(void *p)
{
    (void)p;
    for (int i = 0; i < 200; i++) {
        struct epoch_slot *s = epoch_enter();

        if (*__atomic_load_n(&shared, __ATOMIC_ACQUIRE) == 0xdead)
            abort();
        epoch_exit(s);
    }
    return NULL;
}

static void readers_never_see_what_was_freed(void **state)
{
    pthread_t t[READERS];

    (void)state;
    shared = calloc(1, sizeof(*shared));
    *shared = 0x10000;
    done = 0;
    for (int i = 0; i < READERS; i++)
        pthread_create(&t[i], NULL, read_on, NULL);
    for (uint64_t i = 0; i < OBJECTS; i++) {
        uint64_t *n = malloc(sizeof(*n)), *old;
        bool inside = i % 3 == 0;
        struct epoch_slot *s = inside ? epoch_enter() : NULL;

        *n = 0x10001 + i;
        old = __atomic_exchange_n(&shared, n, __ATOMIC_ACQ_REL);
        epoch_retire(old, poison);
        if (inside)
            epoch_exit(s);
        if (i % 100 == 0) {
            pthread_t brief;

            pthread_create(&brief, NULL, read_a_while, NULL);
            pthread_join(brief, NULL);
        }
    }
    __atomic_store_n(&done, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++)
        pthread_join(t[i], NULL);
    epoch_drain();
    free(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_sections_frees_at_once, reset),
        cmocka_unit_test_setup(own_section_holds_back, reset),
        cmocka_unit_test_setup(sections_nest, reset),
        cmocka_unit_test_setup(many_are_freed_without_being_asked, reset),
        cmocka_unit_test_setup(another_threads_section_holds_back, reset),
        cmocka_unit_test_setup(what_is_freed_may_retire, reset),
        cmocka_unit_test_setup(a_thread_that_ended_holds_nothing_back, reset),
        cmocka_unit_test_setup(a_child_is_not_held_back_by_threads_it_lacks, reset),
        cmocka_unit_test_setup(readers_never_see_what_was_freed, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
