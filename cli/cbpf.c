/*
 * `skep run --cbpf`: a filter of classic BPF as `tcpdump -ddd` prints it, over one input or the packets of a capture.
 * A packet filter's result is how many bytes of the packet are kept; a seccomp filter's is an action.
 */
#include "vm/isa/cbpf.h"
#include "cli/run.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { MAX_TEXT = 1 << 20, SECCOMP_DATA = 64 };

static const char *action_name(uint32_t retval)
{
    static const struct {
        uint32_t action;
        const char *name;
    } names[] = {
        {0x80000000, "kill_process"}, {0x00000000, "kill_thread"}, {0x00030000, "trap"}, {0x00050000, "errno"},
        {0x7fc00000, "user_notif"},   {0x7ff00000, "trace"},       {0x7ffc0000, "log"},  {0x7fff0000, "allow"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].action == (retval & 0xffff0000))
            return names[i].name;
    return "kill_process";
}

static void show(struct run *r, const struct skep_run_opts *o)
{
    struct cli *c = r->c;
    const char *action = r->o->seccomp ? action_name(o->retval) : NULL;
    uint32_t data = o->retval & 0xffff;
    if (!c->json) {
        printf("Return value: %" PRIu32, o->retval);
        if (action)
            printf(" (%s%s%.0u)", action, data ? " " : "", data);
        printf(", duration%s: %uns\n", o->repeat > 1 ? " (average)" : "", o->duration);
        return;
    }
    json_u64_at(&c->w, "retval", o->retval);
    if (action) {
        json_str_at(&c->w, "action", action);
        json_u64_at(&c->w, "data", data);
    }
    json_u64_at(&c->w, "duration", o->duration);
}

static int run_one(struct run *r, const struct buf *data)
{
    struct skep_trap trap = {.sz = sizeof(trap)};
    SKEP_OPTS(skep_run_opts, opts, .data_in = data->len ? data->data : NULL, .data_size_in = (uint32_t)data->len,
              .trap = &trap, .repeat = (int)r->o->repeat);
    int err = run_once(r, &opts, UINT64_MAX);
    if (err == -EFAULT) {
        trap_show(r, &trap, NULL);
        return STATUS_REFUSED;
    }
    if (err)
        return r->c->failed
                   ? STATUS_REFUSED
                   : cli_fail(r->c, STATUS_REFUSED, "the filter cannot be run on this input: %s", strerror(-err));
    show(r, &opts);
    return STATUS_OK;
}

static int run_inputs(struct run *r)
{
    struct buf data = {0};
    int status;
    if (r->o->pcap_in)
        return pcap_run(r);
    status = r->o->data_in ? file_read(r->c, r->o->data_in, CLI_MAX_DATA, &data) : 0;
    if (!status && r->o->seccomp && data.len != SECCOMP_DATA)
        status =
            cli_fail(r->c, STATUS_USAGE, "data_in: struct seccomp_data has %d bytes, not %zu", SECCOMP_DATA, data.len);
    if (!status)
        status = run_one(r, &data);
    buf_free(&data);
    return status;
}

static int load_and_run(struct run *r, struct skep_vm *vm, const struct buf *text)
{
    struct cli *c = r->c;
    struct log log = cli_log(c);
    struct buf insns = {0};
    int status = cbpf_parse(text->data, text->len, &log, &insns) ? STATUS_REFUSED : 0;
    if (!status) {
        r->prog = skep_prog_load_cbpf(vm, "filter", r->o->seccomp, (const struct skep_cbpf_insn *)insns.data,
                                      insns.len / sizeof(struct skep_cbpf_insn), &r->o->exec);
        if (!r->prog)
            status = c->failed ? STATUS_REFUSED
                               : cli_fail(c, STATUS_REFUSED, "%s: refused: %s", r->o->object, strerror(errno));
    }
    buf_free(&insns);
    if (!status && c->json)
        json_str_at(&c->w, "engine", skep_program__engine(r->prog));
    if (!status)
        status = run_inputs(r);
    skep_program__free(r->prog);
    return status;
}

int cbpf_run(struct cli *c, const struct run_opts *o)
{
    struct run r = {.c = c, .o = o, .link = !o->seccomp};
    struct buf text = {0};
    struct skep_vm *vm = skep_vm__new(&o->vm);
    if (!vm)
        return cli_fail(c, STATUS_USAGE, "out of memory");
    int status = file_read(c, o->object, MAX_TEXT, &text);
    if (!status)
        status = load_and_run(&r, vm, &text);
    buf_free(&text);
    buf_free(&r.trace);
    skep_vm__free(vm);
    return status;
}
