/*
 * `skep dump`: programs as they are executed, relocated and with their subprograms, the C lines between the
 * instructions, as `bpftool prog dump xlated linum` prints them.
 */
#include "api/object.h"
#include "cli/jited.h"
#include "vm/listing.h"
#include <errno.h>
#include <string.h>

struct dump {
    struct cli *c;
    bool opcodes, no_lines, jited, harden;
    const char *name, *btf;
    struct skep_exec_opts exec; /* of what becomes machine code */
};

static void print_bytes(const struct skep_insn *insn, unsigned n)
{
    const unsigned char *bytes = (const unsigned char *)insn;
    fputs("       ", stdout);
    for (unsigned i = 0; i < n * 8; i++)
        printf(" %02x", bytes[i]);
    putchar('\n');
}

static void print_insn(const struct dump *d, const struct prog *prog, uint32_t slot, const struct prog_line *line)
{
    struct buf text = {0};
    struct skep_insn insn[2];
    unsigned n = listing_encode(prog, slot, insn);
    listing_insn(prog, slot, &text);
    if (line && !d->no_lines)
        printf("; %s [file:%s line_num:%u line_col:%u]\n", line->text, line->file, line->line, line->col);
    printf("%4u: (%02x) %s\n", slot, insn[0].code, buf_text(&text));
    if (d->opcodes)
        print_bytes(insn, n);
    buf_free(&text);
}

static void json_insn(const struct dump *d, const struct prog *prog, uint32_t slot, const struct prog_line *line)
{
    struct json_writer *w = &d->c->w;
    struct buf text = {0};
    struct skep_insn insn[2];
    unsigned n = listing_encode(prog, slot, insn);
    listing_insn(prog, slot, &text);
    json_object_begin(w);
    if (line && !d->no_lines) {
        json_str_at(w, "src", line->text);
        json_str_at(w, "file", line->file);
        json_u64_at(w, "line_num", line->line);
        json_u64_at(w, "line_col", line->col);
    }
    json_u64_at(w, "insn", slot);
    json_str_at(w, "disasm", buf_text(&text));
    if (d->opcodes)
        json_bytes_at(w, "opcodes", insn, n * 8);
    json_object_end(w);
    buf_free(&text);
}

static void begin_func(const struct dump *d, const struct prog *prog, const struct prog_func *func)
{
    struct buf text = {0};
    listing_func(prog, func, &text);
    if (d->c->json) {
        json_object_begin(&d->c->w);
        json_str_at(&d->c->w, "name", func->name);
        json_str_at(&d->c->w, "proto", buf_text(&text));
        json_name(&d->c->w, "insns");
        json_array_begin(&d->c->w);
    } else {
        printf("%s:\n", buf_text(&text));
    }
    buf_free(&text);
}

static void dump_func(const struct dump *d, const struct prog *prog, const struct prog_func *func)
{
    begin_func(d, prog, func);
    for (uint32_t slot = func->start; slot < func->end;) {
        const struct prog_line *line = prog_line_at(prog, slot);
        if (line && line->insn != slot)
            line = NULL;
        if (d->c->json)
            json_insn(d, prog, slot, line);
        else
            print_insn(d, prog, slot, line);
        slot += slot + 1 < prog->n_insns && prog->insns[slot + 1].wide_tail ? 2 : 1;
    }
    if (d->c->json) {
        json_array_end(&d->c->w);
        json_object_end(&d->c->w);
    }
}

static void dump_prog(const struct dump *d, const struct prog *prog, bool title)
{
    if (d->c->json) {
        json_object_begin(&d->c->w);
        json_str_at(&d->c->w, "name", prog->name);
        json_str_at(&d->c->w, "section", prog->section);
        json_str_at(&d->c->w, "type", prog->type ? prog->type->name : "raw");
        json_u64_at(&d->c->w, "insn_cnt", prog->n_insns);
        json_name(&d->c->w, "funcs");
        json_array_begin(&d->c->w);
    } else if (title) {
        printf("# %s (%s)\n", prog->name, prog->section);
    }
    for (uint32_t i = 0; i < prog->n_funcs; i++)
        dump_func(d, prog, &prog->funcs[i]);
    if (d->c->json) {
        json_array_end(&d->c->w);
        json_object_end(&d->c->w);
    }
}

static int dump_all(const struct dump *d, struct skep_object *o)
{
    bool first = true;
    for (uint32_t i = 0; i < o->obj->n_progs; i++) {
        const struct prog *prog = o->obj->progs[i].prog;
        if (!prog)
            continue;
        if (!d->c->json && !first)
            putchar('\n');
        dump_prog(d, prog, o->obj->n_progs > 1);
        first = false;
    }
    return STATUS_OK;
}

/* Programs that are not to be loaded by themselves are shown too, and so is what is asked for by name alone. */
static int choose(struct dump *d, struct skep_object *o)
{
    int status = STATUS_OK;
    struct skep_program *p, *only = d->name ? cli_program(d->c, o, d->name, &status) : NULL;
    if (d->name && !only)
        return status;
    skep_object__for_each_program(p, o) skep_program__set_autoload(p, !only || p == only);
    return STATUS_OK;
}

static int link_wanted(struct dump *d, struct skep_object *o)
{
    int status = choose(d, o);
    if (status)
        return status;
    struct log log = cli_log(d->c);
    struct object_link_opts link = {.btf_path = d->btf, .helpers = &o->vm->helpers, .lenient = true};
    int err = object_link(o->obj, &link, &log);
    if (!err)
        return STATUS_OK;
    return d->c->failed ? cli_status(err) : cli_fail(d->c, cli_status(err), "linking failed: %s", strerror(-err));
}

/* Machine code is made of what was loaded, and so verified. */
static int load_wanted(struct dump *d, struct skep_object *o)
{
    int status = choose(d, o);
    if (status)
        return status;
    int err = skep_object__load_opts(o, &d->exec);
    int refused = err == -EACCES ? STATUS_REFUSED : cli_status(err);
    if (err)
        return d->c->failed ? refused
                            : cli_fail(d->c, refused, "%s: cannot be loaded: %s", o->obj->path, strerror(-err));
    return STATUS_OK;
}

static int dump_jited(const struct dump *d, struct skep_object *o)
{
    struct jited_opts opts = {.opcodes = d->opcodes, .no_lines = d->no_lines};
    int status = STATUS_OK;
    bool first = true;
    for (uint32_t i = 0; i < o->obj->n_progs && !status; i++) {
        const struct code *code = o->progs[i].code;
        if (!code)
            continue;
        if (!d->c->json && !first)
            putchar('\n');
        if (!d->c->json && o->obj->n_progs > 1)
            printf("# %s (%s)\n", code->prog->name, code->prog->section);
        status = jited_dump(d->c, code, &opts);
        first = false;
    }
    return status;
}

static int dump_object(struct dump *d, const char *path)
{
    struct cli *c = d->c;
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = 1, .log = cli_on_log, .log_ctx = c, .log_level = c->level,
              .harden = d->harden);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts, .btf_custom_path = d->btf);
    int status;
    struct skep_object *o = cli_open(c, path, &opts, &status);
    if (!o)
        return status;
    status = d->jited ? load_wanted(d, o) : link_wanted(d, o);
    if (!status) {
        if (c->json) {
            json_name(&c->w, "programs");
            json_array_begin(&c->w);
        }
        status = d->jited ? dump_jited(d, o) : dump_all(d, o);
        if (c->json)
            json_array_end(&c->w);
    }
    skep_object__close(o);
    return status;
}

static bool is_option(struct dump *d, struct args *a, bool *bad)
{
    const char *v;
    uint32_t bits = 0;
    if (args_global(a) || args_switch(a, "linum") || args_switch(a, "xlated"))
        return true;
    if (args_switch(a, "opcodes"))
        return d->opcodes = true;
    if (args_switch(a, "nolinum"))
        return d->no_lines = true;
    if (args_switch(a, "--jited") || args_switch(a, "jited"))
        return d->jited = true;
    if (args_switch(a, "--harden"))
        return d->harden = true;
    if (args_switch(a, "--count"))
        return d->exec.count_insns = true;
    if (args_switch(a, "--jit-unverified"))
        return d->exec.unchecked = d->exec.jit_unverified = true;
    if ((v = args_option(a, "--btf", bad)))
        d->btf = v;
    else if (!*bad && (v = args_option(a, "--no-opt", bad)) && !(*bad = !opts_find(v, &bits)))
        d->exec.no_opts |= bits;
    else if (v && *bad)
        cli_usage(d->c, &cmd_dump, "--no-opt: there is no optimisation '%s' (" OPTS_NAMES ")", v);
    return v || *bad;
}

static int run_dump(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_dump, .argc = argc, .argv = argv};
    struct dump d = {.c = c, .exec = {.sz = sizeof(d.exec), .engine = "jit"}};
    const char *path = NULL;
    while (a.at < argc) {
        bool bad = false;
        if (is_option(&d, &a, &bad)) {
            if (bad)
                return STATUS_USAGE;
            continue;
        }
        if (argv[a.at][0] == '-' && argv[a.at][1])
            return cli_usage(c, &cmd_dump, "unknown option '%s'", argv[a.at]);
        if (!path)
            path = argv[a.at++];
        else if (!d.name)
            d.name = argv[a.at++];
        else
            return cli_usage(c, &cmd_dump, "'%s' is one word too many", argv[a.at]);
    }
    return path ? dump_object(&d, path) : cli_usage(c, &cmd_dump, "an object is missing");
}

const struct command cmd_dump = {
    .name = "dump",
    .run = run_dump,
    .usage = "OBJ [PROG] [xlated | jited] [linum | nolinum] [opcodes] [OPTION]...",
    .summary = "disassemble programs, C lines between",
    .help = "Prints a program, or all of them, as it is executed: relocated, with its subprograms, and with the names\n"
            "of maps and helpers.\n"
            "\n"
            "  xlated           instructions (default)\n"
            "  jited, --jited   the machine code that verified programs become, instructions between\n"
            "  linum, nolinum   C lines between the instructions (default) or not\n"
            "  opcodes          the bytes of each instruction\n"
            "  --btf FILE       types of the target for CO-RE; default: the running kernel's\n"
            "\n"
            "With machine code:\n"
            "  --no-opt NAME    an optimisation off, as for `skep run`\n"
            "  --harden         as it is with constants hidden\n"
            "  --count          as it is where instructions are counted (`skep run --max-insns`)\n"
            "  --jit-unverified do not verify\n",
};
