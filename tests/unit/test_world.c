/*
 * Worlds: what is refused and how it is said, and where things stand. Types are those of the running kernel; what needs
 * them is skipped where there are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/said.h"
#include "vm/btf/show.h"
#include "vm/world/world.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int load_kernel(void *ctx, const struct log *log, struct btf **out)
{
    (void)ctx;
    return btf_load_raw("/sys/kernel/btf/vmlinux", NULL, log, out);
}

static const struct world_types kernel_types = {.load = load_kernel};
static bool has_types(void)
{
    return !access("/sys/kernel/btf/vmlinux", R_OK);
}

static struct world *build(const char *text)
{
    struct world *w = NULL;

    *said = 0;
    assert_int_equal(world_build(text, strlen(text), NULL, &kernel_types, &said_all, &w), 0);
    return w;
}

static void refused(const char *text, const char *why)
{
    struct world *w = NULL;

    *said = 0;
    assert_int_equal(world_build(text, strlen(text), NULL, &kernel_types, &said_all, &w), -EINVAL);
    if (!strstr(said, why))
        fail_msg("'%s' does not say '%s'", said, why);
}

/* Memory of a world as a run finds it. */
static const unsigned char *at(const struct world *w, uint64_t addr)
{
    for (uint32_t i = 0; i < w->n_mems; i++)
        if (addr - w->mems[i].guest < w->mems[i].size)
            return w->mems[i].host + (addr - w->mems[i].guest);
    return NULL;
}

static uint64_t word_at(const struct world *w, uint64_t addr)
{
    const unsigned char *p = at(w, addr);
    uint64_t v = 0;

    assert_non_null(p);
    memcpy(&v, p, sizeof(v));
    return v;
}

static uint64_t part(const struct world *w, uint64_t addr, const char *type, const char *path)
{
    uint32_t id = btf_find(w->btf, type, BTF_STRUCT);
    struct btf_place place;
    uint64_t v = 0;

    assert_true(id && btf_find_place(w->btf, id, path, &place));
    assert_non_null(at(w, addr + place.off));
    memcpy(&v, at(w, addr + place.off), place.size);
    return v;
}

static void wrong_files_name_the_place(void **state)
{
    (void)state;
    refused("[]", "an object was expected");
    refused("{\"tasks\": [{\"pid\": 1}, {\"pid\": -1}]}", "line 1: tasks[1].pid: a number that is not negative");
    refused("{\"taks\": []}", "taks: a world has no such section");
    refused("{\"tasks\": [],\n\"tasks\": []}", "tasks: this section stands here twice");
    refused("{\"tasks\": [{\"comm\": \"x\"}]}", "tasks[0]: \"pid\" is missing");
    refused("{\"tasks\": [{\"pid\": 1, \"comm\": \"sixteen bytes ..\"}]}",
            "tasks[0].comm: the name of a task has 15 bytes");
    refused("{\"tasks\": [{\"pid\": 7}, {\"pid\": 7}]}", "two tasks have pid 7");
    refused("{\"tasks\": [{\"pid\": 7}], \"current\": 8}", "current: none of the tasks");
    refused("{\"tasks\": [{\"pid\": 7, \"cgroup\": \"/x\"}]}", "tasks[0].cgroup: there is no cgroup '/x'");
    refused("{\"cgroups\": [{\"path\": \"/x\", \"id\": 1}]}", "cgroups[0]: the root has number 1");
    refused("{\"cgroups\": [{\"path\": \"/x/y\", \"id\": 4}]}", "'/x/y' has no parent '/x'");
    refused("{\"user\": [{\"addr\": 0, \"string\": \"\"}]}", "user[0]: nothing stands at address 0");
    refused("{\"user\": [{\"addr\": 4096}]}", "user[0]: what stands there is missing");
    refused("{\"user\": [{\"addr\": \"0xffff888100000000\", \"string\": \"\"}]}", "is no address of a process");
    refused("{\"user\": [{\"addr\": 4096, \"data\": \"0g\"}]}", "user[0].data: bytes as hex");
    refused("{\"user\": [{\"addr\": 4096, \"data\": \"0001\"}, {\"addr\": 4097, \"data\": \"00\"}]}", "lies over");
}

static void structures_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    if (!has_types())
        skip();
    refused("{\"kernel\": {\"x\": {\"pid\": 1}}}", "kernel.x: \"type\" is missing");
    refused("{\"kernel\": {\"x\": {\"type\": \"no_such\"}}}", "kernel.x.type: the target has no type 'no_such'");
    refused("{\"kernel\": {\"x\": {\"type\": \"task_struct\", \"nope\": 1}}}", "kernel.x.nope");
    refused("{\"kernel\": {\"x\": {\"type\": \"task_struct\", \"real_parent\": {\"pid\": \"a\"}}}}",
            "kernel.x.real_parent.pid");
    refused("{\"kernel\": {\"x\": {\"type\": \"task_struct\", \"real_parent\": \"&y\"}}}",
            "kernel.x.real_parent: nothing has the name that is referred to by '&y'");
    refused("{\"kernel\": {\"x\": {\"type\": \"task_struct\", \"real_parent\": \"&x.none\"}}}",
            "there is no such part");
    refused("{\"kernel\": {\"x\": {\"type\": \"task_struct\"}, \"y\": {\"type\": \"cred\", \"&\": \"x\"}}, "
            "\"tasks\": [{\"pid\": 1, \"name\": \"x\"}]}",
            "two things are called 'x'");
}

static void pointers_become_structures_of_their_own(void **state)
{
    struct world *w;
    uint64_t task, parent, dev;

    (void)state;
    if (!has_types())
        skip();
    w = build("{\"kernel\": {"
              "\"task\": {\"type\": \"task_struct\", \"@\": \"0xffff888200000000\", \"pid\": 42, \"comm\": \"x\","
              "  \"real_parent\": {\"&\": \"up\", \"pid\": 7, \"group_leader\": \"&task\"},"
              "  \"children\": {\"list\": [\"&up.sibling\"]}, \"stack\": {\"type\": \"u64[4]\", \"value\": [1, 2]}},"
              "\"f\": {\"type\": \"file\", \"f_op\": \"0xffffffff81000000\", \"f_flags\": 5},"
              "\"d\": {\"type\": \"qstr\", \"name\": \"eth0\", \"len\": 4}}}");
    task = UINT64_C(0xffff888200000000);
    parent = part(w, task, "task_struct", "real_parent");
    assert_int_equal(part(w, task, "task_struct", "pid"), 42);
    assert_int_equal(part(w, parent, "task_struct", "pid"), 7);
    assert_true(part(w, parent, "task_struct", "group_leader") == task);
    assert_int_equal(word_at(w, part(w, task, "task_struct", "stack") + 8), 2);
    /* a list of one: head and node point to one another */
    dev = part(w, task, "task_struct", "children.next");
    assert_true(part(w, task, "task_struct", "children.prev") == dev && dev > parent);
    assert_true(word_at(w, dev) == word_at(w, dev + 8));
    /* nothing lies behind a structure */
    for (uint32_t i = 0; i < w->n_mems; i++)
        assert_null(at(w, w->mems[i].guest + w->mems[i].size));
    world_put(w);
}

static void tasks_are_their_structures(void **state)
{
    struct world *w;
    const struct world_task *t;

    (void)state;
    w = build(
        "{\"cgroups\": [{\"path\": \"/\", \"id\": 1}, {\"path\": \"/a\", \"id\": 5}],"
        "\"tasks\": [{\"pid\": 1}, {\"pid\": 9, \"tgid\": 1, \"comm\": \"t\", \"uid\": 3, \"gid\": 4, \"ppid\": 1,"
        "\"cgroup\": \"/a\", \"name\": \"me\"}], \"current\": \"me\"}");
    t = w->current;
    assert_int_equal(t->pid, 9);
    assert_int_equal(t->tgid, 1);
    assert_int_equal(t->cgroup->level, 1);
    assert_ptr_equal(world_task_named(w, "9"), t);
    assert_null(world_task_named(w, "you"));
    if (t->addr) {
        uint64_t set = part(w, t->addr, "task_struct", "cgroups"), cred = part(w, t->addr, "task_struct", "cred");

        assert_true(part(w, t->addr, "task_struct", "real_parent") == w->tasks[0].addr);
        assert_true(part(w, t->addr, "task_struct", "group_leader") == w->tasks[0].addr);
        assert_int_equal(part(w, cred, "cred", "uid.val"), 3);
        assert_int_equal(part(w, cred, "cred", "egid.val"), 4);
        assert_true(part(w, set, "css_set", "dfl_cgrp") == t->cgroup->addr);
        assert_ptr_equal(world_task_at(w, t->addr), t);
    }
    world_put(w);
}

static void what_surrounds_tasks_is_read_strictly(void **state)
{
    (void)state;
    refused("{\"namespaces\": [{\"name\": \"a\", \"kind\": \"x\", \"inum\": 1}]}",
            "namespaces[0].kind: a namespace is of");
    refused("{\"namespaces\": [{\"name\": \"a\", \"kind\": \"pid\", \"inum\": 1, \"parent\": \"a\"}]}",
            "namespaces[0].parent: no namespace of this kind");
    refused("{\"namespaces\": [{\"name\": \"a\", \"kind\": \"uts\", \"inum\": 1, \"cookie\": 2}]}", "cookies are for");
    refused("{\"tasks\": [{\"pid\": 1, \"namespaces\": [\"a\"]}]}",
            "tasks[0].namespaces[0]: there is no namespace 'a'");
    refused("{\"namespaces\": [{\"name\": \"a\", \"kind\": \"uts\", \"inum\": 1}], "
            "\"tasks\": [{\"pid\": 1, \"namespaces\": [\"a\", \"a\"]}]}",
            "one namespace of each kind");
    refused("{\"tasks\": [{\"pid\": 1, \"regs\": {\"xx\": 1}}]}",
            "tasks[0].regs.xx: struct pt_regs has no such register");
    refused("{\"tasks\": [{\"pid\": 1}], \"user\": [{\"addr\": 1, \"data\": \"00\", \"task\": 2}]}",
            "user[0].task: none of the tasks");
    refused(
        "{\"tasks\": [{\"pid\": 1}], \"user\": [{\"addr\": 1, \"data\": \"0000\", \"task\": 1}, {\"addr\": 2, \"data\": \"00\"}]}",
        "memory of a process at 0x1 (2 bytes) lies over other");
    refused("{\"tasks\": [{\"pid\": 1}], \"user\": [{\"addr\": 1, \"data\": \"0000\", \"task\": 1}, "
            "{\"addr\": 2, \"data\": \"00\", \"task\": 1}]}",
            "memory of a process at 0x2 (1 bytes) lies over other");
    refused("{\"perf_events\": {\"maps\": {\"m\": [[]]}}}",
            "perf_events.maps.m[0]: a value, or a list of at least one");
    refused("{\"perf_events\": {\"program\": {\"enabled\": 1}}}", "perf_events.program: \"counter\" is missing");
    refused("{\"branches\": [{\"from\": 1, \"to\": 2, \"cycles\": 65536}]}", "branches[0]: a branch has 16 bits");
    refused("{\"hashes\": [{\"of\": \"&x\", \"algorithm\": \"md5\", \"hash\": \"00\"}]}",
            "hashes[0].hash: md5 has 16 bytes");
    refused("{\"hashes\": [{\"of\": \"&x\", \"algorithm\": \"crc\", \"hash\": \"00\"}]}",
            "hashes[0]: the algorithm is none");
    refused("{\"hashes\": [{\"of\": \"&x\", \"algorithm\": \"md5\", \"hash\": \"000102030405060708090a0b0c0d0e0f\"}]}",
            "hashes[0]: nothing has the name that is referred to by '&x'");
    if (!has_types())
        skip();
    refused("{\"tasks\": [{\"pid\": 1, \"vmas\": [{\"vm_start\": 2, \"vm_end\": 2}]}]}",
            "tasks[0].vmas[0]: an area lies from");
    refused(
        "{\"tasks\": [{\"pid\": 1, \"vmas\": [{\"vm_start\": 2, \"vm_end\": 9}, {\"vm_start\": 1, \"vm_end\": 3}]}]}",
        "tasks[0].vmas: the areas from 0x1 and 0x2 overlap");
    refused("{\"kernel\": {\"f\": {\"type\": \"file\", \"f_path\": \"x\"}}}",
            "kernel.f.f_path: a path is text that begins with /");
}

static void variables_have_a_place_a_cpu(void **state)
{
    const struct world_variable *rq;
    struct world *w;
    uint64_t addr;

    (void)state;
    if (!has_types())
        skip();
    w = build("{\"variables\": {\"runqueues\": [{\"nr_running\": 3}, {\"nr_running\": 1, \"&\": \"second\"}], "
              "\"cpu_number\": 5}, \"kernel\": {\"p\": {\"type\": \"u64\", \"value\": \"&second.nr_running\"}}}");
    rq = world_variable(w, "runqueues");
    assert_true(rq && rq->percpu && world_symbol(w, "runqueues", &addr) && addr == rq->addr);
    assert_null(at(w, addr));
    assert_int_equal(part(w, world_percpu(w, addr, 0), "rq", "nr_running"), 3);
    assert_int_equal(part(w, world_percpu(w, addr, 1), "rq", "nr_running"), 1);
    assert_int_equal(part(w, world_percpu(w, addr, 8191), "rq", "nr_running"), 0);
    assert_true(world_percpu(w, addr + 8, 1) == world_percpu(w, addr, 1) + 8);
    assert_true(world_percpu(w, addr + rq->size, 0) == 0 && world_percpu(w, addr - 1, 0) == 0);
    assert_true(world_symbol(w, "cpu_number", &addr) && world_percpu(w, addr, 0) == world_percpu(w, addr, 77));
    assert_int_equal((uint32_t)word_at(w, world_percpu(w, addr, 3)), 5);
    assert_null(world_variable(w, "init_task"));
    world_put(w);
    refused("{\"variables\": {\"no_such\": 1}}", "variables.no_such: the target's types have no variable of this name");
    refused("{\"variables\": {\"runqueues\": [{}, {\"nope\": 1}]}}", "variables.runqueues[1].nope");
    refused("{\"variables\": {\"runqueues\": 1}}", "variables.runqueues");
}

static void a_small_text_takes_no_more_than_its_limit(void **state)
{
    struct buf text = {0};
    struct world *w = NULL;

    (void)state;
    if (!has_types())
        skip();
    buf_puts(&text, "{\"kernel\": {");
    for (int i = 0; i < 20; i++)
        buf_printf(&text, "%s\"k%d\": {\"type\": \"char[20000000]\"}", i ? "," : "", i);
    buf_puts(&text, "}}");
    assert_int_equal(world_build(buf_text(&text), text.len, NULL, &kernel_types, &said_all, &w), -ENOMEM);
    assert_non_null(strstr(said, "256 MiB"));
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_files_name_the_place),
        cmocka_unit_test(structures_that_do_not_fit_are_refused),
        cmocka_unit_test(pointers_become_structures_of_their_own),
        cmocka_unit_test(tasks_are_their_structures),
        cmocka_unit_test(what_surrounds_tasks_is_read_strictly),
        cmocka_unit_test(variables_have_a_place_a_cpu),
        cmocka_unit_test(a_small_text_takes_no_more_than_its_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
