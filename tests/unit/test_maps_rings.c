/* Ring buffers and perf event arrays: room, order, states, wakeups, producers in several threads. */
#include "vm/epoch.h"
#include "vm/maps/perf_array.h"
#include "vm/maps/ringbuf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { AVAIL, SIZE, CONS, PROD };

static struct map *make(uint32_t type, uint32_t key, uint32_t value, uint32_t max)
{
    struct map_def d = {
        .name = "ring", .type = type, .key_size = key, .value_size = value, .max_entries = max, .spin_lock_off = -1};
    struct map *map = NULL;

    assert_int_equal(map_create(&d, 4, NULL, &map), 0);
    return map;
}

static struct map *make_ring(uint32_t size)
{
    return make(MAP_TYPE_RINGBUF, 0, 0, size);
}

struct heard {
    uint32_t n;
    uint64_t last;
    size_t size;
    int answer;
};

static int hear(void *ctx, void *data, size_t size)
{
    struct heard *h = ctx;

    h->n++;
    h->size = size;
    if (size >= 8)
        memcpy(&h->last, data, 8);
    return h->answer;
}

static void *put(struct map *ring, uint64_t value)
{
    uint64_t *record = ringbuf_reserve(ring, 8);

    if (record)
        *record = value;
    return record;
}

static void records_come_in_order_of_reservation(void **state)
{
    struct map *ring = make_ring(4096);
    struct heard h = {0};
    void *r[3];

    (void)state;
    assert_int_equal(ringbuf_query(ring, SIZE), 4096);
    for (uint64_t i = 0; i < 3; i++)
        assert_non_null(r[i] = put(ring, i));
    assert_int_equal(ringbuf_query(ring, AVAIL), 48);
    /* Nothing is handed on before the first is finished. */
    ringbuf_submit(ring, r[2], 0);
    ringbuf_submit(ring, r[1], 0);
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 0);
    ringbuf_submit(ring, r[0], 0);
    assert_int_equal(ringbuf_consume(ring, hear, &h, 2), 2);
    assert_int_equal(h.last, 1);
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 1);
    assert_int_equal(h.last, 2);
    assert_int_equal(ringbuf_query(ring, AVAIL), 0);
    assert_int_equal(ringbuf_query(ring, CONS), 48);
    assert_int_equal(ringbuf_query(ring, PROD), 48);
    assert_int_equal(ringbuf_query(ring, 4), 0);
    map_put(ring);
}

static void discarded_records_are_passed_over(void **state)
{
    struct map *ring = make_ring(4096);
    struct heard h = {0};

    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        void *r = put(ring, i);

        if (i % 2)
            ringbuf_discard(ring, r, 0);
        else
            ringbuf_submit(ring, r, 0);
    }
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 5);
    assert_int_equal(h.last, 8);
    assert_int_equal(ringbuf_query(ring, AVAIL), 0);
    map_put(ring);
}

static void a_callback_can_stop(void **state)
{
    struct map *ring = make_ring(4096);
    struct heard h = {.answer = -EINTR};

    (void)state;
    for (uint64_t i = 0; i < 3; i++)
        ringbuf_submit(ring, put(ring, i), 0);
    /* The record that was refused is consumed, as libbpf does it. */
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), -EINTR);
    h.answer = 0;
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 2);
    map_put(ring);
}

static void room_is_linuxs(void **state)
{
    struct map *ring = make_ring(4096);
    struct heard h = {0};
    void *first;

    (void)state;
    /* Sizes are rounded up to 8 with a header of 8; one byte stays free. */
    assert_null(ringbuf_reserve(ring, 4096 - 8 + 1));
    assert_null(ringbuf_reserve(ring, 4096 - 8));
    assert_null(ringbuf_reserve(ring, 1ull << 32));
    assert_null(ringbuf_reserve(ring, UINT64_MAX));
    assert_null(ringbuf_reserve(ring, UINT32_MAX / 4 + 1));
    first = ringbuf_reserve(ring, 4096 - 16);
    assert_non_null(first);
    assert_null(ringbuf_reserve(ring, 0));
    ringbuf_submit(ring, first, 0);
    assert_null(ringbuf_reserve(ring, 0));
    assert_int_equal(ringbuf_output(ring, "x", 1, 0), -EAGAIN);
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 1);
    assert_int_equal(h.size, 4096 - 16);
    assert_non_null(first = ringbuf_reserve(ring, 0));
    ringbuf_submit(ring, first, 0);
    assert_int_equal(ringbuf_output(ring, "x", 1, 4), -EINVAL);
    assert_int_equal(ringbuf_output(ring, NULL, 0, 0), 0);
    map_put(ring);
}

/* A record that is not finished is never overrun, though those behind it were. */
static void an_open_record_bounds_the_ring(void **state)
{
    struct map *ring = make_ring(4096);
    uint64_t *held = put(ring, 4711);
    int n = 0;

    (void)state;
    while (ringbuf_output(ring, "12345678", 8, 0) == 0)
        n++;
    assert_int_equal(n, 4096 / 16 - 2);
    assert_int_equal(*held, 4711);
    ringbuf_submit(ring, held, 0);
    map_put(ring);
}

static void wrap_records(struct map *ring)
{
    unsigned char in[1000], *r;
    struct heard h = {0};

    for (int i = 0; i < 1000; i++) {
        size_t size = (size_t)(i * 37) % sizeof(in);

        memset(in, i, sizeof(in));
        r = ringbuf_reserve(ring, size);
        assert_non_null(r);
        memcpy(r, in, size);
        ringbuf_submit(ring, r, 0);
        h.last = 0;
        assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 1);
        assert_int_equal(h.size, size);
        if (size >= 8)
            assert_memory_equal(&h.last, in, 8);
        assert_memory_equal(r, in, size);
    }
    map_put(ring);
}

static void records_wrap_in_one_piece(void **state)
{
    (void)state;
    wrap_records(make_ring(4096));
}

/* Without a descriptor to be had there is no memory that is mapped twice. */
static void records_wrap_in_memory_that_is_not_mapped_twice(void **state)
{
    struct rlimit was, none;
    struct map *ring;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    none = was;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    ring = make_ring(4096);
    assert_int_equal(ringbuf_fd(ring), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    wrap_records(ring);
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void quiet(int fd)
{
    uint64_t n;

    assert_int_equal(read(fd, &n, 8), 8);
}

static void wakes_who_waits_and_nobody_else(void **state)
{
    struct map *ring = make_ring(4096);
    struct heard h = {0};
    void *a, *b;
    int fd;

    (void)state;
    ringbuf_submit(ring, put(ring, 1), 0);
    fd = ringbuf_fd(ring);
    assert_true(fd >= 0);
    assert_int_equal(ringbuf_fd(ring), fd);
    /* What came before anybody asked counts. */
    assert_true(readable(fd));
    quiet(fd);
    /* The consumer has not come to this record: no wakeup. */
    ringbuf_submit(ring, put(ring, 2), 0);
    assert_false(readable(fd));
    ringbuf_submit(ring, put(ring, 3), 2);
    assert_true(readable(fd));
    quiet(fd);
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 3);
    ringbuf_submit(ring, put(ring, 4), 1);
    assert_false(readable(fd));
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 1);
    ringbuf_submit(ring, put(ring, 5), 0);
    assert_true(readable(fd));
    quiet(fd);
    assert_int_equal(ringbuf_consume(ring, hear, &h, 0), 1);
    /* It waits for the first of two: the second wakes nobody. */
    a = put(ring, 6);
    b = put(ring, 7);
    ringbuf_submit(ring, b, 0);
    assert_false(readable(fd));
    ringbuf_discard(ring, a, 0);
    assert_true(readable(fd));
    map_put(ring);
}

enum { PRODUCERS = 4, EACH = 20000 };

static void *produce(void *p)
{
    struct map *ring = *(struct map **)p;
    uint64_t me = (uint64_t)((struct map **)p)[1];

    for (uint64_t i = 0; i < EACH; i++) {
        uint64_t *r;

        while (!(r = ringbuf_reserve(ring, 8 + i % 5 * 8)))
            sched_yield();
        r[0] = me << 32 | i;
        if (i % 3 == 2)
            ringbuf_discard(ring, r, 0);
        else
            ringbuf_submit(ring, r, 0);
    }
    return NULL;
}

struct tally {
    uint64_t next[PRODUCERS], n;
};

static int tally(void *ctx, void *data, size_t size)
{
    struct tally *t = ctx;
    uint64_t word, who, serial;

    memcpy(&word, data, 8);
    who = word >> 32;
    serial = (uint32_t)word;
    if (who >= PRODUCERS || serial < t->next[who] || serial % 3 == 2 || size != 8 + serial % 5 * 8)
        abort();
    t->next[who] = serial + 1;
    t->n++;
    return 0;
}

/* The consumer sleeps on the eventfd alone: were a wakeup lost, this test would hang. */
static void many_producers_one_sleeper(void **state)
{
    struct map *ring = make_ring(4096), *args[PRODUCERS][2];
    pthread_t t[PRODUCERS];
    struct tally sum = {0};
    uint64_t all = PRODUCERS * (EACH - EACH / 3);
    int fd = ringbuf_fd(ring);

    (void)state;
    for (uintptr_t i = 0; i < PRODUCERS; i++) {
        args[i][0] = ring;
        args[i][1] = (struct map *)i;
        pthread_create(&t[i], NULL, produce, args[i]);
    }
    while (sum.n < all) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, 20000), 1);
        quiet(fd);
        assert_true(ringbuf_consume(ring, tally, &sum, 0) >= 0);
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(t[i], NULL);
    assert_int_equal(sum.n, all);
    map_put(ring);
}

/* ---- Perf event arrays ---- */

struct samples {
    uint32_t n, size, cpu;
    uint64_t lost, first;
    unsigned char data[64];
    int answer;
};

static int take(void *ctx, uint32_t cpu, void *data, uint32_t size)
{
    struct samples *s = ctx;

    s->n++;
    s->cpu = cpu;
    s->size = size;
    memcpy(s->data, data, size < sizeof(s->data) ? size : sizeof(s->data));
    return s->answer;
}

static void lose(void *ctx, uint32_t cpu, uint64_t count)
{
    struct samples *s = ctx;

    (void)cpu;
    s->lost += count;
}

static int out(struct map *map, uint64_t flags, uint32_t cpu, const void *data, uint64_t size)
{
    struct epoch_slot *s = epoch_enter();
    int err = perf_array_output(map, flags, cpu, data, size, NULL, 0);

    epoch_exit(s);
    return err;
}

#define CURRENT 0xffffffffull

static void perf_errors(void **state)
{
    struct map *map = make(MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 2);
    struct samples s = {0};
    uint32_t key = 0;

    (void)state;
    assert_int_equal(out(map, CURRENT, 0, "x", 1), -ENOENT);
    assert_int_equal(out(map, 2, 0, "x", 1), -E2BIG);
    assert_int_equal(out(map, CURRENT, 2, "x", 1), -E2BIG);
    assert_int_equal(out(map, 1ull << 32, 0, "x", 1), -EINVAL);
    assert_int_equal(perf_array_open(map, 0, 3), -EINVAL);
    assert_int_equal(perf_array_open(map, 0, 0), -EINVAL);
    assert_int_equal(perf_array_open(map, 2, 1), -EINVAL);
    assert_int_equal(perf_array_fd(map, 0), -ENOENT);
    assert_int_equal(perf_array_consume(map, 0, take, lose, &s), -ENOENT);
    assert_int_equal(perf_array_open(map, 0, 1), 0);
    assert_int_equal(perf_array_open(map, 0, 1), -EEXIST);
    assert_int_equal(out(map, 0, 1, "x", 1), -EOPNOTSUPP);
    assert_int_equal(out(map, 0, 0, "x", 65536), -E2BIG);
    assert_int_equal(out(map, 0, 0, "x", UINT64_MAX), -E2BIG);
    assert_int_equal(out(map, CURRENT, 0, "x", 1), 0);
    assert_int_equal(map_host_lookup(map, &key, &key, 0), -ENOTSUPP);
    assert_int_equal(map_host_delete(map, &key), 0);
    assert_int_equal(map_host_delete(map, &key), -ENOENT);
    assert_int_equal(out(map, CURRENT, 0, "x", 1), -ENOENT);
    map_put(map);
}

static void samples_have_perfs_sizes(void **state)
{
    struct map *map = make(MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 4);

    (void)state;
    assert_int_equal(perf_array_open(map, 1, 1), 0);
    for (uint32_t size = 0; size < 40; size++) {
        unsigned char data[40];
        struct samples s = {0};

        memset(data, 0x5a, sizeof(data));
        assert_int_equal(out(map, CURRENT, 1, data, size), 0);
        assert_int_equal(perf_array_consume(map, 1, take, lose, &s), 1);
        assert_int_equal(s.cpu, 1);
        /* As long as fills whole words with the 4 bytes before it; zeros at its end. */
        assert_int_equal(s.size, ((size + 4 + 7) & ~7u) - 4);
        for (uint32_t i = 0; i < s.size; i++)
            assert_int_equal(s.data[i], i < size ? 0x5a : 0);
    }
    {
        struct samples s = {0};
        struct epoch_slot *e = epoch_enter();

        assert_int_equal(perf_array_output(map, 1, 1, "abc", 3, "defgh", 5), 0);
        epoch_exit(e);
        assert_int_equal(perf_array_consume(map, 1, take, lose, &s), 1);
        assert_memory_equal(s.data, "abcdefgh\0\0\0\0", 12);
    }
    map_put(map);
}

static void what_does_not_fit_is_counted(void **state)
{
    struct map *map = make(MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1);
    struct samples s = {0};
    uint32_t n = 0;

    (void)state;
    assert_int_equal(perf_array_open(map, 0, 1), 0);
    while (!out(map, 0, 0, "0123456789ab", 12))
        n++;
    /* 24 bytes each, one of 4096 stays free. */
    assert_int_equal(n, 4095 / 24);
    assert_int_equal(out(map, 0, 0, "0123456789ab", 12), -ENOSPC);
    assert_int_equal(perf_array_consume(map, 0, take, lose, &s), n);
    assert_int_equal(s.lost, 2);
    assert_int_equal(out(map, 0, 0, "0123456789ab", 12), 0);
    s.lost = 0;
    assert_int_equal(perf_array_consume(map, 0, take, lose, &s), 1);
    assert_int_equal(s.lost, 0);
    /* A loss that is followed by a sample stands before it in the ring. */
    for (n = 0; !out(map, 0, 0, "0123456789ab", 12); n++)
        ;
    s.answer = -EINTR;
    for (int i = 0; i < 4; i++)
        assert_int_equal(perf_array_consume(map, 0, take, lose, &s), -EINTR);
    s.answer = 0;
    assert_int_equal(s.lost, 0);
    assert_int_equal(out(map, 0, 0, "0123456789ab", 12), 0);
    s.n = 0;
    assert_int_equal(perf_array_consume(map, 0, take, lose, &s), n - 4 + 1);
    assert_int_equal(s.lost, 1);
    map_put(map);
}

static void *write_samples(void *p)
{
    for (uint32_t i = 0; i < EACH; i++) {
        struct epoch_slot *s = epoch_enter();
        int err = perf_array_output(p, CURRENT, 0, &i, 4, NULL, 0);

        epoch_exit(s);
        if (err && err != -ENOSPC)
            abort();
    }
    return NULL;
}

static int in_order(void *ctx, uint32_t cpu, void *data, uint32_t size)
{
    struct samples *s = ctx;
    uint32_t i;

    (void)cpu;
    memcpy(&i, data, 4);
    if (size != 4 || i != s->n + s->lost)
        abort();
    s->n++;
    return 0;
}

/* Every sample is handed on in its place or counted as lost; the reader sleeps on the eventfd alone. */
static void none_is_lost_in_silence(void **state)
{
    struct map *map = make(MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1);
    struct samples s = {0};
    pthread_t t;
    int fd;

    (void)state;
    assert_int_equal(perf_array_open(map, 0, 1), 0);
    fd = perf_array_fd(map, 0);
    assert_true(fd >= 0);
    pthread_create(&t, NULL, write_samples, map);
    while (s.n + s.lost < EACH) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, 20000), 1);
        quiet(fd);
        assert_true(perf_array_consume(map, 0, in_order, lose, &s) >= 0);
    }
    pthread_join(t, NULL);
    assert_int_equal(s.n + s.lost, EACH);
    map_put(map);
}

static void *open_and_close(void *p)
{
    for (int i = 0; i < 500; i++) {
        if (perf_array_open(p, 0, 1))
            abort();
        perf_array_close(p, 0);
    }
    return NULL;
}

static void rings_close_under_writers(void **state)
{
    struct map *map = make(MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 1);
    pthread_t t;

    (void)state;
    pthread_create(&t, NULL, open_and_close, map);
    for (int i = 0; i < 20000; i++) {
        int err = out(map, CURRENT, 0, "abcd", 4);

        assert_true(!err || err == -ENOENT || err == -ENOSPC);
    }
    pthread_join(t, NULL);
    map_put(map);
    epoch_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_in_order_of_reservation),
        cmocka_unit_test(discarded_records_are_passed_over),
        cmocka_unit_test(a_callback_can_stop),
        cmocka_unit_test(room_is_linuxs),
        cmocka_unit_test(an_open_record_bounds_the_ring),
        cmocka_unit_test(records_wrap_in_one_piece),
        cmocka_unit_test(records_wrap_in_memory_that_is_not_mapped_twice),
        cmocka_unit_test(wakes_who_waits_and_nobody_else),
        cmocka_unit_test(many_producers_one_sleeper),
        cmocka_unit_test(perf_errors),
        cmocka_unit_test(samples_have_perfs_sizes),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(none_is_lost_in_silence),
        cmocka_unit_test(rings_close_under_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
