/*
 * Arenas through the public API: an object's variables and pages in one, run by every engine, and the host's view of
 * them. libbpf 1.1 has no arenas, so that Linux's half is in tests/verifier/arenas.bpf, which bpf(2) runs.
 */
#include "tests/unit/compile.h"
#include <errno.h>
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
    compile_one("arena", path);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    remove_one(path);
    return 0;
}

struct way {
    const char *engine;
    bool checked;
};

static struct way interp = {"interp", false}, jit = {"jit", false}, checked = {"interp", true};

static struct skep_object *load(void **state)
{
    const struct way *way = *state;
    SKEP_OPTS(skep_vm_opts, vm_opts, .log = on_log);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts);
    SKEP_OPTS(skep_exec_opts, exec, .engine = way->engine, .checked = way->checked);
    struct skep_object *o;
    int err;

    *messages = 0;
    if (!*path)
        skip();
    o = skep_object__open_file(path, &opts);
    assert_non_null(o);
    err = skep_object__load_opts(o, &exec);
    if (err)
        fail_msg("%d: %s", err, messages);
    return o;
}

static int run(struct skep_object *o, const char *name)
{
    SKEP_OPTS(skep_run_opts, opts, .repeat = 1);
    int err = skep_program__run(skep_object__find_program_by_name(o, name), &opts);

    if (err)
        fail_msg("%s: %d: %s", name, err, messages);
    return (int)opts.retval;
}

static uint64_t number(struct skep_object *o, const char *name)
{
    uint64_t value = 0;

    assert_int_equal(skep_variable__get(o, skep_object__find_variable(o, name), &value, sizeof(value)), 0);
    return value;
}

static void a_list(void **state)
{
    struct skep_object *o = load(state);
    struct skep_map *arena = skep_object__find_map_by_name(o, "arena");
    uint64_t start = skep_map__arena_start(arena), addr;
    struct {
        uint64_t next, value;
    } * node;
    int *vars;

    assert_int_equal(start, 1ull << 44);
    vars = skep_map__arena_memory(arena, start, 4096);
    assert_non_null(vars);
    assert_int_equal(run(o, "walk"), 0);
    assert_int_equal(number(o, "sum"), 0);
    assert_int_equal(run(o, "build"), 0);
    addr = number(o, "addr");
    assert_int_equal(addr, start + 4096);
    assert_int_equal(run(o, "walk"), 0);
    assert_int_equal(number(o, "sum"), 45);
    /* Pointers in the arena are addresses as a process of Linux would have them. */
    node = skep_map__arena_memory(arena, addr, 160);
    assert_non_null(node);
    assert_int_equal(node[9].value, 9);
    assert_int_equal(node[9].next, addr + 8 * 16);
    assert_int_equal(node[0].next, 0);
    node[4].value = 1000;
    assert_int_equal(run(o, "walk"), 0);
    assert_int_equal(number(o, "sum"), 45 - 4 + 1000);
    assert_int_equal(run(o, "atomics"), 0);
    assert_int_equal(number(o, "old"), 9);
    assert_int_equal(number(o, "sum"), 7);
    assert_int_equal(vars[0] == 42 || vars[1] == 42 || vars[2] == 42 || vars[3] == 42, 1);
    skep_object__close(o);
}

static void some_pages(void **state)
{
    struct skep_object *o = load(state);
    struct skep_map *arena = skep_object__find_map_by_name(o, "arena");
    uint64_t start = skep_map__arena_start(arena);

    assert_int_equal(run(o, "build"), 0);
    assert_int_equal(run(o, "pages"), 0);
    assert_int_equal(number(o, "other"), 3);
    assert_int_equal((int64_t)number(o, "err"), -EBUSY);
    assert_null(skep_map__arena_memory(arena, start + 2 * 4096, 1));
    assert_int_equal(errno, EFAULT);
    assert_non_null(skep_map__arena_memory(arena, start + 99 * 4096, 4096));
    assert_null(skep_map__arena_memory(arena, start + 99 * 4096, 4097));
    assert_null(skep_map__arena_memory(arena, start - 1, 1));
    assert_null(skep_map__arena_memory(skep_object__find_map_by_name(o, "arena.bss"), start, 1));
    skep_object__close(o);
}

int main(void)
{
#define EACH(test)                                                                                                     \
    {#test "/interp", test, NULL, NULL, &interp}, {#test "/jit", test, NULL, NULL, &jit},                              \
    {                                                                                                                  \
#test "/checked", test, NULL, NULL, &checked                                                                   \
    }
    const struct CMUnitTest tests[] = {EACH(a_list), EACH(some_pages)};

    return cmocka_run_group_tests(tests, compile, clean);
}
