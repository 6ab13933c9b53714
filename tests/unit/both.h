/*
 * One program, run here and by the kernel. A test gives assembly text, a type and input; both sides get the same bytes,
 * and what they return, write and refuse can be compared. Where bpf(2) is not allowed both_kernel_ok() says so and the
 * test skips.
 */
#ifndef TESTS_UNIT_BOTH_H
#define TESTS_UNIT_BOTH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include "vm/abi/map_types.h"
#include "vm/ctx/ctx.h"
#include "vm/interp/interp.h"
#include "vm/isa/asm.h"
#include <cmocka.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { BOTH_DATA = 80000, BOTH_CTX = 256, BOTH_MAPS = 4, BOTH_VALUE = 1024 };

struct both_in {
    const char *text;
    uint32_t type, attach;
    const void *data;
    uint32_t size;
    const void *ctx;
    uint32_t ctx_size;
    bool want_ctx;
    /* Array maps of one value of BOTH_VALUE bytes, named a, b, c, d; read-only ones are frozen. */
    const unsigned char *maps[BOTH_MAPS];
    bool read_only[BOTH_MAPS];
    const struct btf *types; /* the target's; NULL: none */
};

struct both_out {
    int err;      /* of the run */
    bool refused; /* the kernel's verifier refused it, or it trapped here */
    uint32_t retval;
    unsigned char data[BOTH_DATA];
    uint32_t data_size;
    unsigned char ctx[BOTH_CTX];
    uint32_t ctx_size;
    unsigned char maps[BOTH_MAPS][BOTH_VALUE];
    char text[512]; /* why it was refused */
};

static inline void both_log(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    snprintf(ctx, sizeof(((struct both_out *)0)->text), "%s", text);
}

static inline bool both_find_helper(void *ctx, const char *name, size_t len, uint32_t *id)
{
    char text[64];
    const struct helper *h;

    (void)ctx;
    snprintf(text, sizeof(text), "%.*s", (int)len, name);
    h = helper_by_name(text);
    if (h)
        *id = h->id;
    return h != NULL;
}

static inline bool both_find_map(void *ctx, const char *name, size_t len, uint32_t *index)
{
    (void)ctx;
    if (len != 1 || *name < 'a' || *name >= 'a' + BOTH_MAPS)
        return false;
    *index = (uint32_t)(*name - 'a');
    return true;
}

static inline struct asm_out both_assemble(const char *text)
{
    const struct asm_opts opts = {.helper = both_find_helper, .map = both_find_map};
    char why[512] = "";
    const struct log log = {.fn = both_log, .ctx = why, .max = SKEP_LOG_ERROR};
    struct asm_out out;

    if (asm_text(text, strlen(text), &opts, &log, &out))
        fail_msg("%s", why);
    return out;
}

static inline int both_bpf(int cmd, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

/* Linux 6.18 is the reference; what other kernels do differently is no failure. */
static inline bool both_kernel_ok(void)
{
    struct bpf_insn insns[] = {{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}};
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_XDP, .insn_cnt = 2};
    struct utsname name;
    int fd;

    if (uname(&name) || strncmp(name.release, "6.18.", 5)) {
        print_message("this kernel is not Linux 6.18: %s\n", name.release);
        return false;
    }
    attr.insns = (uintptr_t)insns;
    attr.license = (uintptr_t) "GPL";
    fd = both_bpf(BPF_PROG_LOAD, &attr);
    if (fd < 0) {
        print_message("bpf(2) is not allowed here: %s\n", strerror(errno));
        return false;
    }
    close(fd);
    return true;
}

static inline int both_kernel_map(const unsigned char *value, bool read_only)
{
    union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = BOTH_VALUE, .max_entries = 1};
    uint32_t key = 0;
    int fd;

    attr.map_flags = read_only ? BPF_F_RDONLY_PROG : 0;
    fd = both_bpf(BPF_MAP_CREATE, &attr);
    if (fd < 0)
        fail_msg("map: %s", strerror(errno));
    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)fd;
    attr.key = (uintptr_t)&key;
    attr.value = (uintptr_t)value;
    assert_int_equal(both_bpf(BPF_MAP_UPDATE_ELEM, &attr), 0);
    memset(&attr, 0, sizeof(attr));
    attr.map_fd = (uint32_t)fd;
    if (read_only)
        assert_int_equal(both_bpf(BPF_MAP_FREEZE, &attr), 0);
    return fd;
}

static inline int both_kernel_load(const struct both_in *in, const int *maps, struct both_out *out)
{
    static char log[1 << 16];
    struct asm_out code = both_assemble(in->text);
    union bpf_attr attr = {.prog_type = in->type, .insn_cnt = code.n_insns};
    int fd;

    for (uint32_t i = 0; i < code.n_insns; i++) {
        struct skep_insn *insn = &code.insns[i];

        if (insn->code == 0x18 && (insn->src_reg == 5 || insn->src_reg == 6)) {
            insn->src_reg = insn->src_reg == 5 ? 1 : 2;
            insn->imm = maps[insn->imm];
        }
        if (insn->code == 0x18)
            i++;
    }
    attr.expected_attach_type = in->attach;
    attr.insns = (uintptr_t)code.insns;
    attr.license = (uintptr_t) "GPL";
    attr.log_buf = (uintptr_t)log;
    attr.log_size = sizeof(log);
    attr.log_level = 1;
    fd = both_bpf(BPF_PROG_LOAD, &attr);
    if (fd < 0) {
        size_t n = strlen(log);
        out->refused = true;
        snprintf(out->text, sizeof(out->text), "%.400s", n > 400 ? log + n - 400 : log);
    }
    asm_free(&code);
    return fd;
}

static inline void both_run_kernel(const struct both_in *in, struct both_out *out)
{
    union bpf_attr attr;
    int maps[BOTH_MAPS], fd;

    memset(&attr, 0, sizeof(attr));
    memset(out, 0, sizeof(*out));
    for (int i = 0; i < BOTH_MAPS; i++)
        maps[i] = in->maps[i] ? both_kernel_map(in->maps[i], in->read_only[i]) : -1;
    fd = both_kernel_load(in, maps, out);
    if (fd >= 0) {
        attr.test.prog_fd = (uint32_t)fd;
        attr.test.data_in = (uintptr_t)in->data;
        attr.test.data_size_in = in->size;
        if (in->data) {
            attr.test.data_out = (uintptr_t)out->data;
            attr.test.data_size_out = sizeof(out->data);
        }
        attr.test.ctx_in = (uintptr_t)in->ctx;
        attr.test.ctx_size_in = in->ctx_size;
        if (in->want_ctx) {
            attr.test.ctx_out = (uintptr_t)out->ctx;
            attr.test.ctx_size_out = sizeof(out->ctx);
        }
        out->err = both_bpf(BPF_PROG_TEST_RUN, &attr) ? -errno : 0;
        out->retval = attr.test.retval;
        out->data_size = attr.test.data_size_out;
        out->ctx_size = attr.test.ctx_size_out;
        close(fd);
    }
    for (int i = 0; i < BOTH_MAPS; i++) {
        uint32_t key = 0;

        if (maps[i] < 0)
            continue;
        memset(&attr, 0, sizeof(attr));
        attr.map_fd = (uint32_t)maps[i];
        attr.key = (uintptr_t)&key;
        attr.value = (uintptr_t)out->maps[i];
        assert_int_equal(both_bpf(BPF_MAP_LOOKUP_ELEM, &attr), 0);
        close(maps[i]);
    }
}

static inline struct map *both_our_map(const unsigned char *value, bool read_only)
{
    struct map_def def = {.name = "value",
                          .type = MAP_TYPE_ARRAY,
                          .key_size = 4,
                          .value_size = BOTH_VALUE,
                          .max_entries = 1,
                          .flags = read_only ? MAP_F_RDONLY_PROG : 0,
                          .spin_lock_off = -1};
    struct map *map;
    uint32_t key = 0;

    assert_int_equal(map_create(&def, 1, NULL, &map), 0);
    assert_int_equal(map_host_update(map, &key, value, 0), 0);
    if (read_only)
        assert_int_equal(map_freeze(map), 0);
    return map;
}

static inline struct code *both_lower(const struct both_in *in, struct map *const *maps, bool checked,
                                      struct both_out *out)
{
    const struct log log = {.fn = both_log, .ctx = out->text, .max = SKEP_LOG_ERROR};
    const struct map_def *defs[BOTH_MAPS];
    struct asm_out text = both_assemble(in->text);
    struct prog_spec spec = {.name = "test",
                             .section = "test",
                             .file = "test",
                             .license = "GPL",
                             .attach_target = "",
                             .type = prog_type_find(in->type),
                             .kernel_btf = in->types,
                             .insns = text.insns,
                             .n_insns = text.n_insns};
    struct code_opts opts = {.checked = checked, .opts = CODE_OPT_ALL};
    struct prog *prog;
    struct code *code = NULL;

    for (uint32_t i = 0; i < BOTH_MAPS && maps[i]; i++) {
        defs[i] = &maps[i]->def;
        spec.n_maps = i + 1;
    }
    spec.maps = defs;
    if (prog_new(&spec, false, &log, &prog))
        fail_msg("%s", out->text);
    if (code_lower(prog, NULL, maps, &opts, &interp_engine, &log, &code))
        fail_msg("%s", out->text);
    prog_put(prog);
    asm_free(&text);
    return code;
}

static inline void both_run_here(const struct both_in *in, bool checked, struct both_out *out)
{
    const struct log log = {.fn = both_log, .ctx = out->text, .max = SKEP_LOG_ERROR};
    struct ctx_io io = {.data_in = in->data, .data_size_in = in->size, .ctx_in = in->ctx, .ctx_size_in = in->ctx_size};
    struct map *maps[BOTH_MAPS] = {0};
    struct skep_env *env = env_new();
    struct code *code;
    uint64_t r0 = 0;
    uint32_t key = 0;

    memset(out, 0, sizeof(*out));
    assert_non_null(env);
    for (int i = 0; i < BOTH_MAPS; i++)
        maps[i] = in->maps[i] ? both_our_map(in->maps[i], in->read_only[i]) : NULL;
    code = both_lower(in, maps, checked, out);
    if (in->data) {
        io.data_out = out->data;
        io.data_size_out = sizeof(out->data);
    }
    if (in->want_ctx) {
        io.ctx_out = out->ctx;
        io.ctx_size_out = sizeof(out->ctx);
    }
    out->err = ctx_open(env, prog_type_find(in->type), &io, &log);
    if (!out->err) {
        out->refused = env_run(env, code, (uintptr_t)env->ctx, 0, &r0) != 0;
        if (out->refused)
            snprintf(out->text, sizeof(out->text), "%s: %s", trap_name(env->trap.kind), env->trap.text);
        out->err = ctx_close(env, prog_type_find(in->type), &io, r0);
        out->retval = (uint32_t)r0;
        out->data_size = io.data_size_out;
        out->ctx_size = io.ctx_size_out;
    }
    code_put(code);
    for (int i = 0; i < BOTH_MAPS; i++)
        if (maps[i]) {
            assert_int_equal(map_host_lookup(maps[i], &key, out->maps[i], 0), 0);
            map_put(maps[i]);
        }
    env_free(env);
}

static inline void both_same(const char *what, const struct both_out *here, const struct both_out *kernel)
{
    if (here->refused != kernel->refused)
        fail_msg("%s: here %s, kernel %s", what, here->refused ? here->text : "runs",
                 kernel->refused ? kernel->text : "runs");
    if (here->err != kernel->err)
        fail_msg("%s: here error %d (%s), kernel %d", what, here->err, here->text, kernel->err);
    if (here->err || here->refused)
        return;
    if (here->retval != kernel->retval)
        fail_msg("%s: here returns %d (0x%x), kernel %d (0x%x)", what, (int)here->retval, here->retval,
                 (int)kernel->retval, kernel->retval);
    if (here->data_size != kernel->data_size)
        fail_msg("%s: here %u bytes of data_out, kernel %u", what, here->data_size, kernel->data_size);
    for (uint32_t i = 0; i < here->data_size; i++)
        if (here->data[i] != kernel->data[i])
            fail_msg("%s: data_out byte %u is %02x here, %02x in the kernel", what, i, here->data[i], kernel->data[i]);
    if (here->ctx_size != kernel->ctx_size)
        fail_msg("%s: here %u bytes of ctx_out, kernel %u", what, here->ctx_size, kernel->ctx_size);
    for (uint32_t i = 0; i < here->ctx_size; i++)
        if (here->ctx[i] != kernel->ctx[i])
            fail_msg("%s: ctx_out byte %u is %02x here, %02x in the kernel", what, i, here->ctx[i], kernel->ctx[i]);
    for (int m = 0; m < BOTH_MAPS; m++)
        for (uint32_t i = 0; i < BOTH_VALUE; i++)
            if (here->maps[m][i] != kernel->maps[m][i])
                fail_msg("%s: byte %u of map %c is %02x here, %02x in the kernel", what, i, 'a' + m, here->maps[m][i],
                         kernel->maps[m][i]);
}

/* Runs it in the kernel, here checked and here unchecked; all must agree. */
static inline void both_compare(const char *what, const struct both_in *in)
{
    static struct both_out here, kernel;

    both_run_kernel(in, &kernel);
    both_run_here(in, true, &here);
    both_same(what, &here, &kernel);
    if (kernel.refused)
        return;
    both_run_here(in, false, &here);
    both_same(what, &here, &kernel);
}

#endif
