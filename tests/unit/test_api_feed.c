/*
 * Many elements in one call, and samples that the host sends: the same calls on an object in this process and on the
 * same object in Linux, with the same answers. Linux's half is skipped where bpf(2) is not allowed or libbpf was not
 * built in.
 */
#include "tests/unit/compile.h"
#include <errno.h>
#include <pthread.h>
#include <skep/skep.h>
#include <string.h>

static char path[64];
static char messages[8192];

static void on_log(void *ctx, enum skep_log_level level, const char *text)
{
    size_t len = strlen(messages);

    (void)ctx, (void)level;
    snprintf(messages + len, sizeof(messages) - len, "%s\n", text);
}

static int compile(void **state)
{
    (void)state;
    compile_one("feed", path);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    remove_one(path);
    return 0;
}

static uint32_t user = SKEP_BACKEND_USER, linux_one = SKEP_BACKEND_KERNEL;

static struct skep_object *load(void **state)
{
    SKEP_OPTS(skep_vm_opts, vm_opts, .log = on_log);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts, .backend = *(uint32_t *)*state);
    struct skep_object *o;
    int err;

    *messages = 0;
    if (!*path)
        skip();
    o = skep_object__open_file(path, &opts);
    if (!o && errno == EOPNOTSUPP) {
        print_message("skip: built without libbpf\n");
        skip();
    }
    assert_non_null(o);
    err = skep_object__load(o);
    if (err == -EPERM && opts.backend == SKEP_BACKEND_KERNEL) {
        print_message("skip: bpf(2) is not allowed here\n");
        skep_object__close(o);
        skip();
    }
    if (err)
        fail_msg("%d: %s", err, messages);
    return o;
}

static struct skep_map *map_of(struct skep_object *o, const char *name)
{
    struct skep_map *map = skep_object__find_map_by_name(o, name);

    assert_non_null(map);
    return map;
}

/* ---- Batches ---- */

static void batches(void **state)
{
    struct skep_object *o = load(state);
    struct skep_map *table = map_of(o, "table");
    SKEP_OPTS(skep_map_batch_opts, noexist, .elem_flags = SKEP_NOEXIST);
    SKEP_OPTS(skep_map_batch_opts, bad, .flags = 1);
    uint32_t keys[64], got[64], in = 0, out = 0, n, all = 0;
    uint64_t values[64], got_values[64], seen = 0;
    bool begun = false;
    int err;

    for (uint32_t i = 0; i < 64; i++) {
        keys[i] = i;
        values[i] = i * 3;
    }
    n = 40;
    assert_int_equal(skep_map__update_batch(table, keys, values, &n, NULL), 0);
    assert_int_equal(n, 40);
    n = 64;
    assert_int_equal(skep_map__update_batch(table, keys, values, &n, &bad), -EINVAL);
    n = 8;
    assert_int_equal(skep_map__update_batch(table, keys, values, &n, &noexist), -EINVAL);
    do {
        n = 16;
        err = skep_map__lookup_batch(table, begun ? &in : NULL, &out, got, got_values, &n, NULL);
        assert_true(!err || err == -ENOENT);
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(got_values[i], got[i] * 3);
            seen |= 1ull << got[i];
        }
        all += n;
        in = out;
        begun = true;
    } while (!err);
    assert_int_equal(all, 40);
    assert_int_equal(seen, (1ull << 40) - 1);
    n = 10;
    assert_int_equal(skep_map__delete_batch(table, keys, &n, NULL), 0);
    assert_int_equal(n, 10);
    n = 10;
    assert_int_equal(skep_map__delete_batch(table, keys, &n, NULL), -ENOENT);
    assert_int_equal(n, 0);
    n = 64;
    assert_int_equal(skep_map__lookup_and_delete_batch(table, NULL, &out, got, got_values, &n, NULL), -ENOENT);
    assert_int_equal(n, 30);
    assert_int_equal(skep_map__lookup_elem(table, &keys[20], 4, values, 8, 0), -ENOENT);
    n = 0;
    assert_int_equal(skep_map__lookup_batch(table, NULL, &out, got, got_values, &n, NULL), 0);
    n = 4;
    assert_int_equal(skep_map__lookup_batch(table, NULL, NULL, got, got_values, &n, NULL), -EINVAL);
    skep_object__close(o);
}

/* Values of all CPUs stand side by side; arrays cannot be emptied. */
static void batches_of_cpus(void **state)
{
    struct skep_object *o = load(state);
    struct skep_map *counts = map_of(o, "counts");
    uint32_t size = skep_map__host_value_size(counts), keys[8] = {0, 1, 2, 3, 4, 5, 6, 7}, got[8], out, n = 8;
    unsigned char *values = calloc(8, size), *read = calloc(8, size);

    assert_non_null(values);
    assert_non_null(read);
    for (uint32_t i = 0; i < 8; i++)
        values[i * size] = (unsigned char)(i + 1);
    assert_int_equal(skep_map__update_batch(counts, keys, values, &n, NULL), 0);
    n = 8;
    assert_int_equal(skep_map__lookup_batch(counts, NULL, &out, got, read, &n, NULL), 0);
    assert_int_equal(n, 8);
    assert_memory_equal(got, keys, sizeof(keys));
    assert_memory_equal(read, values, 8 * size);
    n = 8;
    assert_int_equal(skep_map__lookup_batch(counts, &out, &out, got, read, &n, NULL), -ENOENT);
    assert_int_equal(n, 0);
    n = 8;
    assert_int_equal(skep_map__delete_batch(counts, keys, &n, NULL), -EOPNOTSUPP);
    n = 8;
    assert_int_equal(skep_map__lookup_and_delete_batch(counts, NULL, &out, got, read, &n, NULL), -EOPNOTSUPP);
    n = 1;
    assert_int_equal(skep_map__update_batch(map_of(o, "queue"), keys, values, &n, NULL), -EOPNOTSUPP);
    free(values);
    free(read);
    skep_object__close(o);
}

/* ---- Samples ---- */

static uint64_t number(struct skep_object *o, const char *name)
{
    uint64_t value = 0;
    const struct skep_variable *var = skep_object__find_variable(o, name);

    assert_non_null(var);
    assert_int_equal(skep_variable__get(o, var, &value, sizeof(value)), 0);
    return value;
}

static int take(struct skep_object *o)
{
    unsigned char packet[64] = {0};
    SKEP_OPTS(skep_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

    assert_int_equal(skep_program__run(skep_object__find_program_by_name(o, "take"), &opts), 0);
    return (int)opts.retval;
}

static void send(struct skep_user_ring_buffer *rb, uint64_t value, bool discard)
{
    uint64_t *sample = skep_user_ring_buffer__reserve(rb, sizeof(value));

    assert_non_null(sample);
    *sample = value;
    if (discard)
        skep_user_ring_buffer__discard(rb, sample);
    else
        skep_user_ring_buffer__submit(rb, sample);
}

static void samples(void **state)
{
    struct skep_object *o = load(state);
    struct skep_user_ring_buffer *rb = skep_user_ring_buffer__new(map_of(o, "feed"), NULL);
    uint64_t *held;

    assert_non_null(rb);
    assert_null(skep_user_ring_buffer__new(map_of(o, "table"), NULL));
    assert_int_equal(take(o), 0);
    send(rb, 5, false);
    send(rb, 100, true);
    send(rb, 7, false);
    assert_int_equal(take(o), 2);
    assert_int_equal(number(o, "n"), 2);
    assert_int_equal(number(o, "sum"), 12);
    /* What is reserved and not yet sent keeps back what follows. */
    send(rb, 1, false);
    held = skep_user_ring_buffer__reserve(rb, 8);
    assert_non_null(held);
    send(rb, 2, false);
    assert_int_equal(take(o), 1);
    *held = 10;
    skep_user_ring_buffer__submit(rb, held);
    assert_int_equal(take(o), 2);
    assert_int_equal(number(o, "sum"), 25);
    /* A function that returns 1 is the last. */
    for (uint64_t i = 0; i < 4; i++)
        send(rb, 40 + i, false);
    assert_int_equal(skep_variable__set(o, skep_object__find_variable(o, "stop_at"), &(uint64_t){41}, 8), 0);
    assert_int_equal(take(o), 2);
    assert_int_equal(take(o), 2);
    skep_user_ring_buffer__free(rb);
    skep_object__close(o);
}

static void room(void **state)
{
    struct skep_object *o = load(state);
    struct skep_user_ring_buffer *rb = skep_user_ring_buffer__new(map_of(o, "feed"), NULL);
    int sent = 0;

    assert_non_null(rb);
    assert_null(skep_user_ring_buffer__reserve(rb, 4096));
    assert_int_equal(errno, E2BIG);
    assert_null(skep_user_ring_buffer__reserve(rb, 1u << 31));
    assert_int_equal(errno, E2BIG);
    for (void *sample; (sample = skep_user_ring_buffer__reserve(rb, 24)); sent++) {
        memset(sample, 0, 24);
        skep_user_ring_buffer__submit(rb, sample);
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(sent, 128);
    assert_null(skep_user_ring_buffer__reserve_blocking(rb, 24, 20));
    assert_int_equal(errno, *(uint32_t *)*state == SKEP_BACKEND_USER ? ETIMEDOUT : errno);
    assert_int_equal(take(o), 128);
    send(rb, 3, false);
    assert_int_equal(take(o), 1);
    skep_user_ring_buffer__free(rb);
    skep_object__close(o);
}

/* Who waits for room is woken by the program that makes some. */
static void *wait_for_room(void *arg)
{
    uint64_t *sample = skep_user_ring_buffer__reserve_blocking(arg, 8, -1);

    if (sample) {
        *sample = 77;
        skep_user_ring_buffer__submit(arg, sample);
    }
    return sample;
}

static void waiting(void **state)
{
    struct skep_object *o = load(state);
    struct skep_user_ring_buffer *rb = skep_user_ring_buffer__new(map_of(o, "feed"), NULL);
    pthread_t thread;
    void *got = NULL;

    assert_non_null(rb);
    for (void *sample; (sample = skep_user_ring_buffer__reserve(rb, 24));)
        skep_user_ring_buffer__discard(rb, sample);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_room, rb), 0);
    usleep(20000);
    /* Only drains that hand something over wake, and all was discarded but for this. */
    assert_true(take(o) >= 0);
    for (int i = 0; i < 200 && number(o, "sum") < 77; i++) {
        usleep(1000);
        take(o);
        send(rb, 0, false);
    }
    assert_int_equal(pthread_join(thread, &got), 0);
    assert_non_null(got);
    take(o);
    assert_int_equal(number(o, "sum"), 77);
    skep_user_ring_buffer__free(rb);
    skep_object__close(o);
}

int main(void)
{
#define BOTH(test)                                                                                                     \
    {#test, test, NULL, NULL, &user},                                                                                  \
    {                                                                                                                  \
#test "/linux", test, NULL, NULL, &linux_one                                                                   \
    }
    const struct CMUnitTest tests[] = {
        BOTH(batches), BOTH(batches_of_cpus), BOTH(samples), BOTH(room), {"waiting", waiting, NULL, NULL, &user}};

    return cmocka_run_group_tests(tests, compile, clean);
}
