/*
 * `skep run --raw`: instructions without an object, r1 = memory, r2 = its length, or a context when a type is given.
 * Prints r0 and nothing else, so that other programs can use it.
 */
#include "cli/run.h"
#include "vm/prog.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { MAX_BYTES = PROG_MAX_INSNS * 8 };

static int show(struct run *r, int err, const struct skep_run_opts *opts)
{
    struct cli *c = r->c;
    if (err == -EFAULT) {
        trap_show(r, opts->trap, NULL);
        return STATUS_REFUSED;
    }
    if (err && err != -ENOSPC)
        return c->failed ? STATUS_REFUSED : cli_fail(c, STATUS_REFUSED, "cannot be run: %s", strerror(-err));
    effects_show(r);
    if (!c->json) {
        printf("0x%" PRIx64 "\n", opts->r0);
        return STATUS_OK;
    }
    json_name(&c->w, "r0");
    json_hex(&c->w, opts->r0);
    json_u64_at(&c->w, "retval", opts->retval);
    json_u64_at(&c->w, "duration", opts->duration);
    return STATUS_OK;
}

static int run(struct run *r, uint32_t type, const struct buf *mem)
{
    const struct run_opts *o = r->o;
    struct skep_trap trap = {.sz = sizeof(trap)};
    int status = o->ctx_in ? file_read(r->c, o->ctx_in, CLI_MAX_DATA, &r->ctx_in) : 0;
    if (!status) {
        SKEP_OPTS(skep_run_opts, opts, .data_in = mem->data, .data_size_in = (uint32_t)mem->len, .trap = &trap,
                  .ctx_in = r->ctx_in.data, .ctx_size_in = (uint32_t)r->ctx_in.len, .repeat = (int)o->repeat);
        opts.flags = type ? 0 : SKEP_RUN_IN_PLACE;
        int err = run_once(r, &opts, UINT64_MAX);
        status = show(r, err, &opts);
    }
    buf_free(&r->ctx_in);
    return status;
}

static int load_and_run(struct run *r, struct skep_vm *vm, const struct buf *bytes, const struct buf *mem)
{
    struct cli *c = r->c;
    const struct run_opts *o = r->o;
    int type = o->type ? skep_prog_type_by_name(o->type) : SKEP_PROG_TYPE_RAW;
    if (type < 0)
        return cli_usage(c, &cmd_run, "there is no program type '%s'", o->type);
    if (!bytes->len || bytes->len % 8)
        return cli_fail(c, STATUS_REFUSED, "%s: %zu bytes are no whole number of 8-byte instructions", o->object,
                        bytes->len);
    /* Bytes by hand are there to be tried out: they run checked, unless verification is asked for. */
    struct skep_exec_opts exec = o->exec;
    bool machine = exec.engine && !strcmp(exec.engine, "jit");
    if (!o->verify_raw && (!machine || exec.checked))
        exec.checked = !exec.unchecked;
    if (exec.privilege == SKEP_PRIVILEGE_DEFAULT)
        exec.privilege = SKEP_PRIVILEGED;
    SKEP_OPTS(skep_prog_load_opts, opts, .exec = &exec, .mem_size = (uint32_t)mem->len);
    r->prog =
        skep_prog_load(vm, (uint32_t)type, "raw", "GPL", (const struct skep_insn *)bytes->data, bytes->len / 8, &opts);
    if (!r->prog)
        return c->failed ? STATUS_REFUSED : cli_fail(c, STATUS_REFUSED, "%s: refused: %s", o->object, strerror(errno));
    int status = run(r, (uint32_t)type, mem);
    skep_program__free(r->prog);
    return status;
}

int raw_run(struct cli *c, const struct run_opts *o)
{
    struct run r = {.c = c, .o = o};
    struct buf bytes = {0}, mem = {0};
    struct skep_vm *vm = skep_vm__new(&o->vm);
    if (!vm)
        return cli_fail(c, STATUS_USAGE, "out of memory");
    int status = file_read(c, o->object, MAX_BYTES, &bytes);
    if (!status && (o->mem || o->data_in))
        status = file_read(c, o->mem ? o->mem : o->data_in, CLI_MAX_DATA, &mem);
    if (!status)
        status = load_and_run(&r, vm, &bytes, &mem);
    buf_free(&bytes);
    buf_free(&mem);
    buf_free(&r.calls);
    buf_free(&r.trace);
    buf_free(&r.effects);
    skep_vm__free(vm);
    return status;
}
