/*
 * A whole object: opened, linked against its own types, loaded, and each of its programs run checked. What is verified
 * instead is judged only: the verifier is fed too, by every other input (its length is odd).
 */
#include "fuzz/feed/feed.h"
#include <errno.h>
#include <skep/skep.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET = 5000, MAPS = 64 << 20, BYTES = 128 };

static void keep(void *ctx, enum skep_log_level level, const char *text)
{
    (void)level;
    *(bool *)ctx |= *text != 0;
}

static void run_all(struct skep_object *obj)
{
    static unsigned char bytes[BYTES] = {0x45}, out[2 * BYTES];
    struct skep_program *prog;

    skep_object__for_each_program(prog, obj)
    {
        struct skep_trap trap = {.sz = sizeof(trap)};
        SKEP_OPTS(skep_run_opts, data, .data_in = bytes, .data_size_in = BYTES / 2, .data_out = out,
                  .data_size_out = sizeof(out), .max_insns = BUDGET, .trap = &trap);
        SKEP_OPTS(skep_run_opts, ctx, .ctx_in = bytes, .ctx_size_in = BYTES / 2, .max_insns = BUDGET, .trap = &trap);

        if (skep_program__loaded(prog) && skep_program__run(prog, &data) == -EINVAL)
            skep_program__run(prog, &ctx);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool said = false;
    SKEP_OPTS(skep_vm_opts, vm, .cpus = 2, .log = keep, .log_ctx = &said);
    SKEP_OPTS(skep_object_open_opts, open, .object_name = "fed", .vm_opts = &vm, .btf_custom_path = FEED_TARGET);
    SKEP_OPTS(skep_exec_opts, exec, .checked = !(size & 1), .verify_insns = BUDGET);
    struct skep_object *obj, *twin;
    int err;

    obj = skep_object__open_mem(data, size, &open);
    err = obj ? skep_object__load_opts(obj, &exec) : -errno;
    if (err && !said)
        feed_wrong("error %d without a message", err);
    if (!err) {
        run_all(obj);
        twin = skep_object__clone(obj);
        skep_object__close(twin);
    }
    skep_object__close(obj);
    return 0;
}
