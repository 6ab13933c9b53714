/*
 * One side of a comparison: an instance of the object on one engine, or in Linux. Every side runs on CPU 0 and has as
 * many CPUs as the machine, so that per-CPU values stand side by side. Nothing a side cannot do is an error: it becomes
 * its state, with the reason in its own words.
 */
#include "cli/diff.h"
#include "cli/run.h"
#include "vm/abi/prog_types.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void keep_first(void *ctx, enum skep_log_level level, const char *text)
{
    struct side *s = ctx;
    if (level == SKEP_LOG_ERROR && !*s->why)
        snprintf(s->why, sizeof(s->why), "%s", text);
}

/* ---- Events ---- */

static int on_record(void *ctx, void *data, size_t size)
{
    const struct diff_event *source = ctx;
    struct buf *to = &source->side->events[source->map];
    uint32_t len = (uint32_t)size;
    buf_add(to, &len, sizeof(len));
    buf_add(to, data, size);
    return 0;
}

static void on_sample(void *ctx, int cpu, void *data, uint32_t size)
{
    (void)cpu;
    on_record(ctx, data, size);
}

static int open_readers(struct side *s)
{
    enum { PERF_PAGES = 64 };
    uint32_t n = s->obj->obj->n_maps;
    s->perf = calloc((size_t)n + 1, sizeof(struct skep_perf_buffer *));
    s->events = calloc((size_t)n + 1, sizeof(*s->events));
    s->sources = calloc((size_t)n + 1, sizeof(*s->sources));
    if (!s->perf || !s->events || !s->sources)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        struct skep_map *map = &s->obj->maps[i];
        int err = 0;
        s->sources[i] = (struct diff_event){.side = s, .map = i};
        if (!map_exists(map))
            continue;
        if (skep_map__type(map) == SKEP_MAP_TYPE_PERF_EVENT_ARRAY) {
            s->perf[i] = skep_perf_buffer__new(map, PERF_PAGES, on_sample, NULL, &s->sources[i], NULL);
        } else if (skep_map__type(map) == SKEP_MAP_TYPE_RINGBUF && s->rings) {
            err = skep_ring_buffer__add(s->rings, map, on_record, &s->sources[i]);
        } else if (skep_map__type(map) == SKEP_MAP_TYPE_RINGBUF) {
            s->rings = skep_ring_buffer__new(map, on_record, &s->sources[i], NULL);
            err = s->rings ? 0 : -errno;
        }
        if (err)
            return err;
    }
    return 0;
}

static void consume(struct side *s)
{
    for (uint32_t i = 0; i < s->obj->obj->n_maps; i++)
        buf_clear(&s->events[i]);
    if (s->rings)
        skep_ring_buffer__consume(s->rings);
    for (uint32_t i = 0; i < s->obj->obj->n_maps; i++)
        if (s->perf[i])
            skep_perf_buffer__consume(s->perf[i]);
}

/* ---- Opening ---- */

static int prepare(struct cli *c, const struct diff_opts *o, const char *engine, struct side *s)
{
    SKEP_OPTS(skep_exec_opts, exec, .engine = engine);
    int status = 0;
    cli_choose(s->obj, s->prog);
    for (uint32_t i = 0; i < o->n_sets && !status; i++)
        status = cli_set(c, &cmd_diff, s->obj, o->sets[i]);
    if (status)
        return status;
    int err = skep_object__load_opts(s->obj, &exec);
    if (!err && !skep_program__loaded(s->prog))
        err = -ENOENT;
    if (!err && (err = open_readers(s)))
        snprintf(s->why, sizeof(s->why), "no reader of its events: %s", strerror(-err));
    s->unjudged = !err && engine && !s->obj->share->judged[s->prog->index].verified;
    if (!err) {
        for (uint32_t i = 0; i < o->n_maps && !status; i++)
            status = maps_fill(c, s->obj, o->maps[i]);
        return status;
    }
    s->state = s->obj->refused ? SIDE_REJECTS : SIDE_CANNOT;
    if (!*s->why)
        snprintf(s->why, sizeof(s->why), "%s", strerror(-err));
    return 0;
}

int side_open(struct cli *c, const struct diff_opts *o, const char *engine, const char *prog, struct side *s)
{
    long cpus = sysconf(_SC_NPROCESSORS_CONF);
    *s = (struct side){.name = engine ? engine : "linux"};
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = cpus > 0 ? (uint32_t)cpus : 1, .log = keep_first, .log_ctx = s,
              .world = engine ? o->world : NULL);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts, .btf_custom_path = o->btf, .kconfig = o->kconfig_text,
              .backend = engine ? SKEP_BACKEND_USER : SKEP_BACKEND_KERNEL);
    s->obj = skep_object__open_file(o->object, &opts);
    if (!s->obj && errno == EOPNOTSUPP) {
        s->state = SIDE_CANNOT;
        return 0;
    }
    if (!s->obj)
        return cli_fail(c, cli_status(errno), "%s", *s->why ? s->why : strerror(errno));
    s->prog = skep_object__find_program_by_name(s->obj, prog);
    return s->prog ? prepare(c, o, engine, s) : cli_fail(c, STATUS_USAGE, "there is no program '%s'", prog);
}

void side_close(struct side *s)
{
    skep_ring_buffer__free(s->rings);
    for (uint32_t i = 0; s->obj && i < s->obj->obj->n_maps; i++) {
        if (s->perf)
            skep_perf_buffer__free(s->perf[i]);
        if (s->events)
            buf_free(&s->events[i]);
    }
    free(s->perf);
    free(s->events);
    free(s->sources);
    skep_object__close(s->obj);
    *s = (struct side){0};
}

/* ---- Running ---- */

static void tally(struct side *s, const struct side_result *r)
{
    uint32_t i = 0;
    s->ran++;
    s->trapped += r->trapped;
    for (uint32_t k = 0; k < s->obj->obj->n_maps; k++)
        for (size_t at = 0; at < s->events[k].len; s->sent++) {
            uint32_t len;
            memcpy(&len, s->events[k].data + at, sizeof(len));
            at += sizeof(len) + len;
        }
    if (r->err)
        return;
    while (i < s->n_returned && s->returned[i].value != r->retval)
        i++;
    if (i == MAX_RETURNED)
        return;
    s->n_returned += i == s->n_returned;
    s->returned[i].value = r->retval;
    s->returned[i].n++;
}

/* What was left open when the object was linked, and is reached now. */
static bool is_missing(const char *trap)
{
    return !strcmp(trap, "helper_missing") || !strcmp(trap, "kfunc_missing") || !strcmp(trap, "core_unresolved");
}

/* Of these Linux tells what became of the context; for others it takes no room for that. */
static bool tells_ctx(const struct side *s)
{
    switch (skep_program__type(s->prog)) {
    case PROG_TYPE_SOCKET_FILTER:
    case PROG_TYPE_SCHED_CLS:
    case PROG_TYPE_SCHED_ACT:
    case PROG_TYPE_CGROUP_SKB:
    case PROG_TYPE_LWT_IN:
    case PROG_TYPE_LWT_OUT:
    case PROG_TYPE_LWT_XMIT:
    case PROG_TYPE_XDP:
    case PROG_TYPE_SK_LOOKUP: return true;
    default: return skep_object__backend(s->obj) == SKEP_BACKEND_USER;
    }
}

void side_run(struct side *s, const struct diff_input *in, struct side_result *out)
{
    enum { ROOM = 256 << 10, BOUND = 100000000, CTX_ROOM = 8192 };
    unsigned char ctx[CTX_ROOM];
    bool wants_ctx = in->ctx && tells_ctx(s);
    struct skep_trap trap = {.sz = sizeof(trap)};
    *out = (struct side_result){0};
    void *room = in->data ? malloc(in->size + ROOM) : NULL;
    SKEP_OPTS(skep_run_opts, opts, .data_in = in->data, .data_size_in = in->size, .ctx_in = in->ctx,
              .ctx_size_in = in->ctx_size, .data_out = room, .data_size_out = room ? in->size + ROOM : 0,
              .ctx_out = wants_ctx ? ctx : NULL, .ctx_size_out = wants_ctx ? sizeof(ctx) : 0, .flags = SKEP_RUN_CPU,
              .trap = &trap, .max_insns = BOUND);
    s->why[0] = 0;
    out->err = skep_program__run(s->prog, &opts);
    out->retval = opts.retval;
    out->trapped = out->err == -EFAULT && trap.kind;
    if (out->trapped)
        snprintf(out->trap, sizeof(out->trap), "%s%s%s", trap.kind, *trap.detail ? ": " : "", trap.detail);
    if (!out->err && room)
        buf_add(&out->data, room, opts.data_size_out);
    if (!out->err && wants_ctx && opts.ctx_size_out <= sizeof(ctx))
        buf_add(&out->ctx, ctx, opts.ctx_size_out);
    if (out->trapped && is_missing(trap.kind)) {
        out->err = -EOPNOTSUPP;
        snprintf(s->why, sizeof(s->why), "%s: %s", trap.text, trap.detail);
    }
    consume(s);
    if (out->err == -EOPNOTSUPP)
        s->state = SIDE_CANNOT;
    else
        tally(s, out);
    free(room);
}
