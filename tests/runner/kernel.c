/*
 * A test in Linux, through bpf(2) and BPF_PROG_TEST_RUN. Raw programs run as XDP programs on an empty packet: their
 * memory is the value of an array map whose address a prologue puts into r1. The kernel gives back 32 bits of r0 only,
 * so each exit of the entry function becomes a jump to an epilogue that stores all of r0 into a second map. A program
 * that ends without it (LD_ABS past the packet) leaves the cell's mark unset; then the 32 bits count.
 *
 *     prologue, goto body, epilogue, body (the test's instructions, in which only exits changed)
 *
 * Where only the verdict is asked for, instructions stay as they are: prologue, body. An unprivileged test is loaded
 * with CAP_BPF and CAP_NET_ADMIN alone, which is as far as a kernel goes that has unprivileged loading switched off.
 */
#include "tests/runner/func_info.h"
#include "tests/runner/runner.h"
#include "vm/abi/map_types.h"
#include "vm/isa/isa.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    STRICT_ALIGNMENT = 1 << 0,
    ANY_ALIGNMENT = 1 << 1,
    SLEEPABLE = 1 << 4,
    MIN_PACKET = 14,
    MAX_OUT = 4096,
    MAX_FDS = 3 * TEST_MAX_MAPS + TEST_MAX_ELEMS + 4
};

/* What a run has open. */
struct kernel {
    const struct test *test;
    struct arena *arena;
    int fds[MAX_FDS];
    unsigned n_fds;
    int mem_map, result_map; /* -1: none */
    int maps[TEST_MAX_MAPS];
    const char *failure;
    bool judged; /* the verifier ran */
};

static int bpf(int cmd, union bpf_attr *attr)
{
    long fd = syscall(SYS_bpf, cmd, attr, sizeof(*attr));

    return fd < 0 ? -errno : (int)fd;
}

static uint64_t ptr(const void *p)
{
    return (uint64_t)(uintptr_t)p;
}

static int hold(struct kernel *k, int fd)
{
    if (fd >= 0)
        k->fds[k->n_fds++] = fd;
    return fd;
}

static bool fails(struct kernel *k, const char *what, int err)
{
    if (err < 0 && !k->failure)
        k->failure = arena_printf(k->arena, "%s: %s", what, strerror(-err));
    return err < 0;
}

static int create_map(struct kernel *k, uint32_t type, uint32_t key, uint32_t value, uint32_t max, uint32_t flags)
{
    union bpf_attr attr = {
        .map_type = type, .key_size = key, .value_size = value, .max_entries = max, .map_flags = flags};

    return hold(k, bpf(BPF_MAP_CREATE, &attr));
}

/* Maps that Linux takes with types alone. */
static bool needs_btf(const struct map_def *d)
{
    return d->spin_lock_off >= 0 || d->type == MAP_TYPE_SK_STORAGE || d->type == MAP_TYPE_INODE_STORAGE ||
           d->type == MAP_TYPE_TASK_STORAGE || d->type == MAP_TYPE_CGRP_STORAGE;
}

/* Types of a map: a number for the key, a struct for the value, with the lock at its place or a number. */
static int map_btf(struct kernel *k, const struct map_def *d)
{
    static const char strings[] = "\0int\0val\0bpf_spin_lock\0lock\0v";
    const struct {
        struct btf_header h;
        uint32_t t[20];
    } types = {
        .h = {.magic = BTF_MAGIC,
              .version = 1,
              .hdr_len = sizeof(struct btf_header),
              .type_len = sizeof(types.t),
              .str_off = sizeof(types.t),
              .str_len = sizeof(strings)},
        .t = {1,
              BTF_KIND_INT << 24,
              d->key_size,
              d->key_size * 8, /* 1: the key */
              1,
              BTF_KIND_INT << 24,
              4,
              32, /* 2: unsigned int */
              9,
              BTF_KIND_STRUCT << 24 | 1,
              4,
              28,
              2,
              0, /* 3: struct bpf_spin_lock */
              5,
              BTF_KIND_STRUCT << 24 | 1,
              d->value_size,
              23,
              d->spin_lock_off >= 0 ? 3 : 2,
              d->spin_lock_off >= 0 ? 8u * (uint32_t)d->spin_lock_off : 0},
    };
    struct buf all = {0};
    union bpf_attr attr;
    int fd;

    memset(&attr, 0, sizeof(attr));
    buf_add(&all, &types, sizeof(types));
    buf_add(&all, strings, sizeof(strings));
    attr.btf = ptr(all.data);
    attr.btf_size = (uint32_t)all.len;
    fd = hold(k, bpf(BPF_BTF_LOAD, &attr));
    buf_free(&all);
    return fd;
}

/* A map of the test, with what its flags and words ask for. */
static int create_def(struct kernel *k, const struct map_def *d)
{
    union bpf_attr attr = {.map_type = d->type,
                           .key_size = d->key_size,
                           .value_size = d->value_size,
                           .max_entries = d->max_entries,
                           .map_flags = d->flags,
                           .map_extra = d->extra};

    if (d->inner) {
        int inner = create_def(k, d->inner);

        if (inner < 0)
            return inner;
        attr.inner_map_fd = (uint32_t)inner;
    }
    if (needs_btf(d)) {
        int btf = map_btf(k, d);

        if (btf < 0)
            return btf;
        attr.btf_fd = (uint32_t)btf;
        attr.btf_key_type_id = 1;
        attr.btf_value_type_id = 4;
    }
    return hold(k, bpf(BPF_MAP_CREATE, &attr));
}

static int freeze(int map)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map};

    return bpf(BPF_MAP_FREEZE, &attr);
}

static int update(int map, const void *key, const void *value)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = ptr(key), .value = ptr(value)};

    return bpf(BPF_MAP_UPDATE_ELEM, &attr);
}

static int lookup(int map, const void *key, void *value)
{
    union bpf_attr attr = {.map_fd = (uint32_t)map, .key = ptr(key), .value = ptr(value)};

    return bpf(BPF_MAP_LOOKUP_ELEM, &attr);
}

static bool make_maps(struct kernel *k)
{
    const struct test *t = k->test;
    uint32_t zero = 0;

    k->mem_map = k->result_map = -1;
    k->result_map = create_map(k, MAP_TYPE_ARRAY, 4, 16, 1, 0);
    if (fails(k, "result map", k->result_map))
        return false;
    if (t->mem.size) {
        k->mem_map = create_map(k, MAP_TYPE_ARRAY, 4, t->mem.size, 1, 0);
        if (fails(k, "memory", k->mem_map) || fails(k, "memory", update(k->mem_map, &zero, t->mem.data)))
            return false;
    }
    for (uint32_t i = 0; i < t->n_maps; i++) {
        const struct map_def *d = &t->maps[i];

        k->maps[i] = create_def(k, d);
        if (fails(k, d->name, k->maps[i]))
            return false;
    }
    for (uint32_t i = 0; i < t->n_sets; i++)
        if (fails(k, "map-set", update(k->maps[t->sets[i].map], t->sets[i].key.data, t->sets[i].value.data)))
            return false;
    for (uint32_t i = 0; i < t->n_maps; i++)
        if (t->frozen[i] && fails(k, "freeze", freeze(k->maps[i])))
            return false;
    return true;
}

static void add(struct buf *b, struct skep_insn insn)
{
    buf_add(b, &insn, sizeof(insn));
}

static void add_value_address(struct buf *b, unsigned dst, int map)
{
    add(b, isa_encode(ISA_LD_MAP_VALUE, (uint8_t)dst, 0, 0, map));
    add(b, (struct skep_insn){0});
}

/* The first slot behind the entry function: where a local function begins. */
static uint32_t entry_end(const struct test *t)
{
    uint32_t end = t->n_insns;

    for (uint32_t i = 0; i < t->n_insns; i++) {
        enum isa_op op = isa_decode(&t->insns[i]);
        uint32_t to = i + 1 + (uint32_t)t->insns[i].imm;

        if ((op == ISA_CALL_LOCAL || op == ISA_LD_FUNC) && to > 0 && to < end)
            end = to;
        i += isa_is_wide(op);
    }
    return end;
}

/* Is its verdict all that is asked of a program? */
static bool verdict_only(const struct test *t)
{
    return t->error || t->unprivileged ||
           (t->accept && !t->result_line && !t->n_outs && !t->mem_out.line && !t->data_out.line && !t->ctx_out.line);
}

/* Makes the kernel's program of a test. */
static void translate(const struct kernel *k, const struct test *t, struct buf *out)
{
    bool plain = verdict_only(t);
    uint32_t end = entry_end(t), epilogue, body;

    if (!t->type) {
        if (k->mem_map >= 0)
            add_value_address(out, 1, k->mem_map);
        else
            add(out, isa_encode(ISA_MOV64_K, 1, 0, 0, 0));
        add(out, isa_encode(ISA_MOV64_K, 2, 0, 0, (int32_t)k->test->mem.size));
    }
    if (!plain)
        add(out, isa_encode(ISA_JA, 0, 0, 5, 0));
    epilogue = (uint32_t)(out->len / sizeof(struct skep_insn));
    if (!plain) {
        add_value_address(out, 1, k->result_map);
        add(out, isa_encode(ISA_STX_DW, 1, 0, 0, 0));
        add(out, isa_encode(ISA_ST_DW, 1, 0, 8, 1));
        add(out, isa_encode(ISA_EXIT, 0, 0, 0, 0));
    }
    body = epilogue + 5;
    for (uint32_t i = 0; i < t->n_insns; i++) {
        struct skep_insn insn = t->insns[i];
        enum isa_op op = isa_decode(&insn);

        if (op == ISA_EXIT && i < end && !plain)
            insn = isa_encode(ISA_GOTOL, 0, 0, 0, (int32_t)(epilogue - (body + i + 1)));
        else if (op == ISA_LD_MAP_IDX)
            insn = isa_encode(ISA_LD_MAP_FD, insn.dst_reg, 0, 0, k->maps[insn.imm]);
        else if (op == ISA_LD_MAP_IDX_VALUE)
            insn = isa_encode(ISA_LD_MAP_VALUE, insn.dst_reg, 0, 0, k->maps[insn.imm]);
        add(out, insn);
        if (isa_is_wide(op) && i + 1 < t->n_insns)
            add(out, t->insns[++i]);
    }
}

/* The verifier's last words, which say what it did not like. */
static const char *last_lines(const char *log)
{
    const char *p = log + strlen(log);
    int lines = 4;

    while (p > log && lines)
        lines -= *--p == '\n';
    return p;
}

/* Keeps of the capabilities in use only those that `keep` has; returns what was in use before. */
static uint64_t use_caps(uint64_t keep)
{
    struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct d[2];
    uint64_t before;

    if (syscall(SYS_capget, &h, d))
        return 0;
    before = d[0].effective | (uint64_t)d[1].effective << 32;
    d[0].effective = d[0].permitted & (uint32_t)keep;
    d[1].effective = d[1].permitted & (uint32_t)(keep >> 32);
    syscall(SYS_capset, &h, d);
    return before;
}

static int load(struct kernel *k, const struct test *t)
{
    union bpf_attr attr = {.license = ptr(t->license ? t->license : "GPL"),
                           .expected_attach_type = t->attach_type,
                           .prog_flags = t->strict ? STRICT_ALIGNMENT : ANY_ALIGNMENT};
    uint64_t caps = 0;
    static const uint32_t log_size = 1 << 20;
    char *log = calloc(1, log_size);
    struct buf insns = {0};
    struct func_info funcs;
    int fd;

    translate(k, t, &insns);
    attr.prog_type = t->type ? t->type->id : PROG_TYPE_XDP;
    if (attr.prog_type == PROG_TYPE_SYSCALL || t->sleepable)
        attr.prog_flags |= SLEEPABLE;
    attr.insns = ptr(insns.data);
    attr.insn_cnt = (uint32_t)(insns.len / sizeof(struct skep_insn));
    attr.log_buf = ptr(log);
    attr.log_size = log ? log_size : 0;
    attr.log_level = log ? 1 : 0;
    fd = func_info_load((const struct skep_insn *)(const void *)insns.data, attr.insn_cnt, &funcs);
    if (fd >= 0 && hold(k, funcs.btf) >= 0) {
        attr.prog_btf_fd = (uint32_t)funcs.btf;
        attr.func_info = ptr(funcs.records.data);
        attr.func_info_cnt = funcs.n;
        attr.func_info_rec_size = sizeof(struct bpf_func_info);
    }
    if (t->unprivileged)
        caps = use_caps((uint64_t)1 << CAP_BPF | (uint64_t)1 << CAP_NET_ADMIN);
    fd = insns.failed ? -ENOMEM : fd < 0 ? fd : hold(k, bpf(BPF_PROG_LOAD, &attr));
    if (t->unprivileged)
        use_caps(caps);
    k->judged = fd >= 0 || (log && *log);
    if (fd < 0)
        k->failure = arena_printf(k->arena, "not loaded: %s\n%s", strerror(-fd), log ? last_lines(log) : "");
    buf_free(&funcs.records);
    buf_free(&insns);
    free(log);
    return fd;
}

static bool set_tails(struct kernel *k, int self)
{
    for (uint32_t i = 0; i < k->test->n_tails; i++) {
        const struct test_tail *t = &k->test->tails[i];
        int fd = t->of == k->test ? self : load(k, t->of);

        if (fd < 0 || fails(k, "tail", update(k->maps[t->map], &t->index, &fd)))
            return false;
    }
    return true;
}

static struct bytes room(struct kernel *k, uint32_t size)
{
    return (struct bytes){.data = arena_alloc(k->arena, size), .size = size};
}

static bool test_run(struct kernel *k, int fd, struct outcome *o, uint32_t *retval)
{
    const struct test *t = k->test;
    uint8_t packet[MIN_PACKET] = {0};
    bool syscall_type = t->type && t->type->id == PROG_TYPE_SYSCALL;
    struct bytes data_out = room(k, t->data.size + MAX_OUT), ctx_out = room(k, t->ctx.size + MAX_OUT);
    union bpf_attr attr = {.test = {.prog_fd = (uint32_t)fd}};
    int err;

    if (!syscall_type) {
        attr.test.data_in = ptr(t->data.size ? t->data.data : packet);
        attr.test.data_size_in = t->data.size ? t->data.size : sizeof(packet);
        attr.test.data_out = ptr(data_out.data);
        attr.test.data_size_out = data_out.size;
    }
    if (t->ctx.size) {
        attr.test.ctx_in = ptr(t->ctx.data);
        attr.test.ctx_size_in = t->ctx.size;
    }
    if (t->ctx_out.line) {
        attr.test.ctx_out = ptr(ctx_out.data);
        attr.test.ctx_size_out = ctx_out.size;
    }
    err = bpf(BPF_PROG_TEST_RUN, &attr);
    o->loaded = err == -ENOTSUPP; /* a type without a test run: that it loads is Linux's whole answer */
    if (o->loaded || fails(k, "BPF_PROG_TEST_RUN", err))
        return false;
    *retval = attr.test.retval;
    o->data = (struct bytes){.data = data_out.data, .size = attr.test.data_size_out};
    /* BPF_PROG_TYPE_SYSCALL writes its context back over ctx_in. */
    o->ctx = syscall_type ? t->ctx : (struct bytes){.data = ctx_out.data, .size = attr.test.ctx_size_out};
    return true;
}

static void read_back(struct kernel *k, uint32_t retval, struct outcome *o)
{
    uint64_t cell[2] = {0};
    uint32_t zero = 0;

    if (fails(k, "result", lookup(k->result_map, &zero, cell)))
        return;
    o->r0 = cell[1] ? cell[0] : retval;
    if (k->mem_map >= 0) {
        o->mem = room(k, k->test->mem.size);
        fails(k, "memory", lookup(k->mem_map, &zero, o->mem.data));
    }
    for (uint32_t i = 0; i < k->test->n_outs; i++) {
        const struct test_elem *e = &k->test->outs[i];
        uint8_t *value = arena_alloc(k->arena, e->value.size);

        if (lookup(k->maps[e->map], e->key.data, value) >= 0)
            o->elems[i] = value;
    }
}

void kernel_run(const struct test *test, struct arena *arena, struct outcome *o)
{
    struct kernel k = {.test = test, .arena = arena};
    uint32_t retval = 0;
    int fd = -1;

    if (!make_maps(&k) || (fd = load(&k, test)) < 0) {
        if (!k.judged)
            o->failure = k.failure;
        else if (!(test->error ? !test->differs : test->differs != NULL))
            o->failure = test->differs ? "Linux refuses it as well: it does not differ" : k.failure;
        o->loaded = !o->failure;
    } else if (test->error) {
        o->failure = test->differs ? NULL : "Linux accepts it";
        o->loaded = test->differs != NULL;
    } else if (test->differs) {
        o->failure = "Linux accepts it as well: it does not differ";
    } else if (verdict_only(test)) {
        o->loaded = true;
    } else {
        if (set_tails(&k, fd) && test_run(&k, fd, o, &retval))
            read_back(&k, retval, o);
        o->failure = k.failure;
    }
    while (k.n_fds)
        close(k.fds[--k.n_fds]);
}

bool kernel_accepts(const struct test *test, struct arena *arena, const char **why)
{
    struct kernel k = {.test = test, .arena = arena};
    bool ok = make_maps(&k) && load(&k, test) >= 0;

    *why = k.failure;
    while (k.n_fds)
        close(k.fds[--k.n_fds]);
    return ok;
}

const char *kernel_refuses(void)
{
    const struct skep_insn insns[] = {isa_encode(ISA_MOV64_K, 0, 0, 0, 0), isa_encode(ISA_EXIT, 0, 0, 0, 0)};
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP, .insns = ptr(insns), .insn_cnt = 2, .license = ptr("GPL")};
    int fd = bpf(BPF_PROG_LOAD, &attr);

    if (fd < 0)
        return strerror(-fd);
    close(fd);
    return NULL;
}
