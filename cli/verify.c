/*
 * `skep verify`: the verifier's verdict on each program of each object. An object that cannot be read is told and
 * passed over; the others are judged all the same.
 */
#include "verifier/verify.h"
#include "api/object.h"
#include "cli/cli.h"
#include "cli/diff.h"
#include "verifier/report.h"
#include "vm/abi/prog_types.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct job {
    struct cli *c;
    const char *prog;             /* --prog */
    const struct prog_type *type; /* type TYPE */
    const char *btf;
    char *target; /* --target: the object; the program's name stands behind it */
    const char *target_prog;
    struct skep_object *extended; /* the object, linked */
    bool linux_too;               /* --kernel */
    struct buf log;               /* --log with -j */
    struct verify_opts opts;
    unsigned accepted, rejected, unsupported, linux_rejected;
    int status;
};

static const char *const verdicts[] = {"accept", "reject", "unsupported"};

struct constants {
    const struct object *obj;
    const struct prog *prog;
};

static bool read_const(void *ctx, const struct map_def *map, uint64_t off, unsigned size, uint64_t *value)
{
    const struct constants *c = ctx;
    int32_t i = prog_map_index(c->prog, map);

    return i >= 0 && object_map_constant(&c->obj->maps[i], off, size, value);
}

/* --log goes where results go. */
static void on_log(void *ctx, enum skep_log_level level, const char *text)
{
    struct job *job = ctx;

    if (level != SKEP_LOG_INFO) {
        cli_on_log(job->c, level, text);
    } else if (job->c->json) {
        buf_puts(&job->log, text);
        buf_putc(&job->log, '\n');
    } else {
        puts(text);
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Lines of a text as a list. */
static void json_lines(struct json_writer *w, const char *name, const char *lines)
{
    json_name(w, name);
    json_array_begin(w);
    while (*lines) {
        size_t n = strcspn(lines, "\n");

        json_string_n(w, lines, n);
        lines += n + (lines[n] == '\n');
    }
    json_array_end(w);
}

static void json_refusal(struct json_writer *w, const struct prog *prog, const struct verify_result *r)
{
    const struct prog_line *line = prog_line_at(prog, r->insn);
    struct buf text = {0};

    if (r->verdict == VERDICT_UNSUPPORTED)
        json_str_at(w, "missing", r->message);
    json_str_at(w, "reason", reason_name(r->reason));
    json_u64_at(w, "insn", r->insn);
    json_str_at(w, "file", line ? line->file : "");
    json_u64_at(w, "line", line ? line->line : 0);
    json_u64_at(w, "column", line ? line->col : 0);
    json_str_at(w, "source", line ? line->text : "");
    json_str_at(w, "message", r->message);
    json_name(w, "path");
    json_array_begin(w);
    for (uint32_t i = 0; i < r->n_path; i++) {
        const struct verify_step *s = &r->path[i];
        const struct prog_line *at = prog_line_at(prog, s->insn);

        json_object_begin(w);
        json_u64_at(w, "insn", s->insn);
        json_bool_at(w, "taken", s->taken);
        json_str_at(w, "file", at ? at->file : "");
        json_u64_at(w, "line", at ? at->line : 0);
        buf_clear(&text);
        report_step(prog, s, &text);
        json_str_at(w, "text", buf_text(&text));
        json_object_end(w);
    }
    json_array_end(w);
    json_lines(w, "known", r->known);
    json_lines(w, "inputs", r->inputs);
    json_lines(w, "cost", r->cost);
    json_str_at(w, "rule", reason_rule(r->reason));
    json_str_at(w, "hint", reason_cure(r->reason));
    buf_free(&text);
}

/* ---- Linux's verdict, with --kernel ---- */

static const char *const side_verdicts[] = {
    [SIDE_RUNS] = "accept", [SIDE_REJECTS] = "reject", [SIDE_CANNOT] = "cannot"};

/* Loads this program alone; what Linux says when it does not take it stays in side->why. */
static bool ask_linux(struct job *job, const char *path, const struct object_prog *p, struct side *side)
{
    struct diff_opts o = {.object = path, .btf = job->btf};

    *side = (struct side){0};
    if (!job->linux_too)
        return false;
    if (side_open(job->c, &o, NULL, p->name, side))
        side->state = SIDE_CANNOT;
    job->linux_rejected += side->state == SIDE_REJECTS;
    return true;
}

static void show_linux(struct job *job, const char *path, const struct object_prog *p)
{
    struct json_writer *w = &job->c->w;
    struct side side;

    if (ask_linux(job, path, p, &side) && job->c->json) {
        json_name(w, "linux");
        json_object_begin(w);
        json_str_at(w, "verdict", side_verdicts[side.state]);
        if (*side.why)
            json_str_at(w, "message", side.why);
        json_object_end(w);
    } else if (job->linux_too) {
        printf("%s: %s: Linux: %s\n%s%s", path, p->name, side_verdicts[side.state], side.why, *side.why ? "\n" : "");
    }
    side_close(&side);
}

static void json_program(struct job *job, const char *path, const struct object_prog *p, const struct verify_result *r,
                         uint64_t ns)
{
    struct json_writer *w = &job->c->w;

    json_object_begin(w);
    json_str_at(w, "object", path);
    json_str_at(w, "program", p->name);
    json_str_at(w, "section", p->section);
    json_str_at(w, "type", p->prog->type ? p->prog->type->name : "raw");
    json_str_at(w, "verdict", verdicts[r->verdict]);
    json_u64_at(w, "insns", p->prog->n_insns);
    json_u64_at(w, "insns_processed", r->insns_processed);
    json_u64_at(w, "states_total", r->states_total);
    json_u64_at(w, "states_peak", r->states_peak);
    json_u64_at(w, "max_states_per_insn", r->max_states_per_insn);
    json_u64_at(w, "memory_peak", r->memory_peak);
    json_u64_at(w, "stack_depth", r->stack_depth);
    json_u64_at(w, "time_us", ns / 1000);
    if (r->verdict != VERDICT_ACCEPT)
        json_refusal(w, p->prog, r);
    if (job->opts.log_level)
        json_str_at(w, "log", buf_text(&job->log));
    buf_clear(&job->log);
    show_linux(job, path, p);
    json_object_end(w);
}

static void print_program(const char *path, const struct object_prog *p, const struct verify_result *r, uint64_t ns)
{
    struct buf report = {0};

    printf("%s: %s: %s, %u instructions, %" PRIu64 " processed, %u states, %" PRIu64 " us\n", path, p->name,
           verdicts[r->verdict], p->prog->n_insns, r->insns_processed, r->states_total, ns / 1000);
    report_text(p->prog, r, &report);
    if (report.len)
        fputs(buf_text(&report), stdout);
    buf_free(&report);
}

/* ---- What programs extend, with --target ---- */

static bool open_target(struct job *job)
{
    SKEP_OPTS(skep_vm_opts, vm, .cpus = 1, .log = cli_on_log, .log_ctx = job->c, .log_level = job->c->level);
    SKEP_OPTS(skep_object_open_opts, open, .vm_opts = &vm);
    struct object_link_opts link = {.btf_path = job->btf};
    struct log log = cli_log(job->c);
    int status = STATUS_OK, err;

    job->extended = cli_open(job->c, job->target, &open, &status);
    if (!job->extended)
        return false;
    link.helpers = &job->extended->vm->helpers;
    err = object_link(job->extended->obj, &link, &log);
    if (err)
        cli_fail(job->c, STATUS_USAGE, "%s: linking failed: %s", job->target, strerror(-err));
    return !err;
}

/* The program that has this function: the one that was named, or the first. */
static const struct prog *target_of(const struct job *job, const char *func)
{
    const struct prog *any = NULL;

    for (uint32_t i = 0; job->extended && i < job->extended->obj->n_progs; i++) {
        const struct object_prog *p = &job->extended->obj->progs[i];

        if (!p->prog || (job->target_prog && strcmp(p->name, job->target_prog)))
            continue;
        any = any ? any : p->prog;
        for (uint32_t f = 0; f < p->prog->n_funcs; f++)
            if (!strcmp(p->prog->funcs[f].name, func))
                return p->prog;
    }
    return any;
}

/* "OBJ" or "OBJ:PROG" */
static bool take_target(struct job *job, const char *text)
{
    char *colon;

    free(job->target);
    job->target = strdup(text);
    colon = job->target ? strrchr(job->target, ':') : NULL;
    if (!colon || strchr(colon, '/'))
        return job->target != NULL;
    *colon = 0;
    job->target_prog = colon + 1;
    return true;
}

static int verify_one(struct job *job, const char *path, const struct object *obj, const struct object_prog *p)
{
    struct log log = {.fn = on_log, .ctx = job, .max = SKEP_LOG_INFO};
    struct constants constants = {.obj = obj, .prog = p->prog};
    struct verify_result result;
    uint64_t begin = cpu_ns();
    int err;

    job->opts.read_const = read_const;
    job->opts.read_const_ctx = &constants;
    job->opts.extends =
        p->prog->type && p->prog->type->id == PROG_TYPE_EXT ? target_of(job, p->target ? p->target : "") : NULL;
    job->opts.extends_func = p->target ? p->target : "";
    err = verify_prog(p->prog, &job->opts, &log, &result);
    if (err)
        return cli_fail(job->c, STATUS_USAGE, "%s: %s: cannot be judged: %s", path, p->name, strerror(-err));
    if (job->c->json)
        json_program(job, path, p, &result, cpu_ns() - begin);
    else
        print_program(path, p, &result, cpu_ns() - begin), show_linux(job, path, p);
    job->accepted += result.verdict == VERDICT_ACCEPT;
    job->rejected += result.verdict == VERDICT_REJECT;
    job->unsupported += result.verdict == VERDICT_UNSUPPORTED;
    verify_result_free(&result);
    return STATUS_OK;
}

static void verify_object(struct job *job, const char *path)
{
    SKEP_OPTS(skep_vm_opts, vm, .cpus = 1, .log = cli_on_log, .log_ctx = job->c, .log_level = job->c->level);
    SKEP_OPTS(skep_object_open_opts, open, .vm_opts = &vm);
    struct log log = cli_log(job->c);
    struct object_link_opts link = {.btf_path = job->btf};
    int status = STATUS_OK, err;
    struct skep_object *o;
    bool found = false;

    job->c->failed = false;
    o = cli_open(job->c, path, &open, &status);
    if (!o) {
        job->status = STATUS_USAGE;
        return;
    }
    link.helpers = &o->vm->helpers;
    for (uint32_t i = 0; i < o->obj->n_progs; i++) {
        struct object_prog *p = &o->obj->progs[i];

        if (job->prog && strcmp(p->name, job->prog))
            p->autoload = false;
        else if (job->prog || job->type)
            p->autoload = true;
        if (job->type)
            p->type = job->type->id;
    }
    err = object_link(o->obj, &link, &log);
    if (err) {
        cli_fail(job->c, STATUS_USAGE, "%s: linking failed: %s", path, strerror(-err));
        job->status = STATUS_USAGE;
    }
    for (uint32_t i = 0; i < o->obj->n_progs && !err; i++) {
        const struct object_prog *p = &o->obj->progs[i];

        if (!p->prog)
            continue;
        found = true;
        if (verify_one(job, path, o->obj, p))
            job->status = STATUS_USAGE;
    }
    if (!found && job->prog && !err) {
        cli_fail(job->c, STATUS_USAGE, "%s: there is no program '%s'", path, job->prog);
        job->status = STATUS_USAGE;
    }
    skep_object__close(o);
}

static bool take_option(struct args *a, struct job *job, bool *bad)
{
    const char *text;
    uint64_t n;

    if ((text = args_option(a, "--prog", bad))) {
        job->prog = text;
    } else if ((text = args_option(a, "--btf", bad))) {
        job->btf = text;
    } else if ((text = args_word(a, "type", bad))) {
        job->type = prog_type_by_name(text);
        if (!job->type)
            cli_usage(a->c, a->cmd, "there is no program type '%s'", text), *bad = true;
    } else if ((text = args_option(a, "--max-insns", bad))) {
        *bad = !args_number(a, "--max-insns", text, UINT64_MAX, &n);
        job->opts.max_insns = n;
    } else if ((text = args_option(a, "--log", bad))) {
        *bad = !args_number(a, "--log", text, 2, &n);
        job->opts.log_level = (int)n;
    } else if ((text = args_option(a, "--target", bad))) {
        *bad = !take_target(job, text);
    } else if (args_switch(a, "--unprivileged")) {
        job->opts.unprivileged = true;
    } else if (args_switch(a, "--kernel")) {
        job->linux_too = true;
    } else if (args_switch(a, "--strict-alignment")) {
        job->opts.strict_alignment = true;
    } else {
        return false;
    }
    return true;
}

static int run_verify(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_verify, .argc = argc, .argv = argv};
    struct job job = {.c = c};
    const char **paths = calloc((size_t)argc + 1, sizeof(*paths));
    unsigned n = 0;
    bool bad = false;

    if (!paths)
        return cli_fail(c, STATUS_USAGE, "out of memory");
    while (a.at < a.argc && !bad) {
        if (args_global(&a) || take_option(&a, &job, &bad) || bad)
            continue;
        if (a.argv[a.at][0] == '-' && a.argv[a.at][1])
            bad = (cli_usage(c, &cmd_verify, "there is no option '%s'", a.argv[a.at]), true);
        else
            paths[n++] = a.argv[a.at++];
    }
    if (!bad && !n)
        bad = (cli_usage(c, &cmd_verify, "no object is named"), true);
    if (bad) {
        free(paths);
        return STATUS_USAGE;
    }
    if (c->json) {
        json_name(&c->w, "programs");
        json_array_begin(&c->w);
    }
    if (job.target && !open_target(&job))
        job.status = STATUS_USAGE;
    for (unsigned i = 0; i < n; i++)
        verify_object(&job, paths[i]);
    if (job.extended)
        skep_object__close(job.extended);
    free(job.target);
    if (c->json)
        json_array_end(&c->w);
    else if (job.accepted + job.rejected + job.unsupported > 1)
        printf("%u accepted, %u rejected, %u unsupported\n", job.accepted, job.rejected, job.unsupported);
    free(paths);
    buf_free(&job.log);
    return job.status ? job.status : job.rejected || job.unsupported || job.linux_rejected ? STATUS_REFUSED : STATUS_OK;
}

const struct command cmd_verify = {
    .name = "verify",
    .run = run_verify,
    .usage = "OBJ... [--prog NAME] [type TYPE] [--btf FILE] [--max-insns N] [--unprivileged] [--kernel] [--log 1|2]",
    .summary = "say whether programs are safe, and if not, where and why",
    .help =
        "Walks every path of each program, as Linux's verifier does, and prints one line a program and a report for\n"
        "each refusal. Several objects may be named.\n"
        "\n"
        "  --prog NAME         this program alone\n"
        "  type TYPE           take programs for this type (xdp, sched_cls, kprobe ...)\n"
        "  --btf FILE          types of the target for CO-RE; default: the running kernel's\n"
        "  --max-insns N       instructions to process before giving up; default 1000000\n"
        "  --target OBJ[:PROG] the object that freplace programs extend, and which program of it\n"
        "  --unprivileged      as for a loader without capabilities\n"
        "  --kernel            ask the verifier of the running kernel, too (each program is loaded and let go)\n"
        "  --strict-alignment  every access aligned to its size\n"
        "  --log 1|2           the state at branches, or at every instruction\n",
};
