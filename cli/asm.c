/* `skep asm` and `skep disasm`: text to bytes and back, with Linux's helper names. */
#include "vm/isa/asm.h"
#include "cli/cli.h"
#include "vm/abi/helpers.h"
#include "vm/isa/disasm.h"
#include "vm/prog.h"
#include <string.h>
#include <unistd.h>

enum { MAX_TEXT = 256 << 20, MAX_BYTES = PROG_MAX_INSNS * 8 };

/* FILE and -o OUT, which both subcommands take. */
static int parse(struct args *a, const char **in, const char **out)
{
    while (a->at < a->argc) {
        bool bad = false;
        const char *v;
        if (args_global(a))
            continue;
        if ((v = args_option(a, "-o", &bad)))
            *out = v;
        else if (bad)
            return STATUS_USAGE;
        else if (a->argv[a->at][0] == '-' && a->argv[a->at][1])
            return cli_usage(a->c, a->cmd, "unknown option '%s'", a->argv[a->at]);
        else if (*in)
            return cli_usage(a->c, a->cmd, "'%s' is one file too many", a->argv[a->at]);
        else
            *in = a->argv[a->at++];
    }
    if (!*in)
        *in = "-";
    return 0;
}

static bool helper_id(void *ctx, const char *name, size_t len, uint32_t *id)
{
    char text[64];
    (void)ctx;
    if (len >= sizeof(text))
        return false;
    memcpy(text, name, len);
    text[len] = 0;
    const struct helper *h = helper_by_name(text);
    if (h)
        *id = h->id;
    return h;
}

static const char *helper_text(void *ctx, uint32_t id)
{
    (void)ctx;
    const struct helper *h = helper_find(id);
    return h ? h->name : NULL;
}

/* ---- asm ---- */

static void json_insns(struct cli *c, const struct skep_insn *insns, uint32_t n)
{
    json_u64_at(&c->w, "insn_cnt", n);
    json_bytes_at(&c->w, "bytes", insns, (size_t)n * 8);
}

static int assemble(struct cli *c, const char *in, const char *out, const struct buf *text)
{
    struct log log = cli_log(c);
    log.where = strcmp(in, "-") ? in : "standard input";
    struct asm_opts opts = {.helper = helper_id};
    struct asm_out bytes = {0};
    int status;
    if (asm_text(buf_text(text), text->len, &opts, &log, &bytes))
        return STATUS_REFUSED;
    if (c->json && !out) {
        json_insns(c, bytes.insns, bytes.n_insns);
        status = STATUS_OK;
    } else if (!out && isatty(STDOUT_FILENO)) {
        status = cli_fail(c, STATUS_USAGE, "bytes are not for a terminal: name a file with -o, or use -j");
    } else {
        status = file_write(c, out ? out : "-", bytes.insns, (size_t)bytes.n_insns * 8);
        if (c->json)
            json_u64_at(&c->w, "insn_cnt", bytes.n_insns);
    }
    asm_free(&bytes);
    return status;
}

static int run_asm(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_asm, .argc = argc, .argv = argv};
    const char *in = NULL, *out = NULL;
    struct buf text = {0};
    int status = parse(&a, &in, &out);
    if (!status)
        status = file_read(c, in, MAX_TEXT, &text);
    if (!status)
        status = assemble(c, in, out, &text);
    buf_free(&text);
    return status;
}

const struct command cmd_asm = {
    .name = "asm",
    .run = run_asm,
    .usage = "[FILE] [-o OUT]",
    .summary = "assemble text into 8-byte instructions",
    .help =
        "Reads assembly text as clang, llvm-objdump and bpftool write it (`-` or nothing: standard input) and writes\n"
        "the instructions, 8 bytes each, to OUT or standard output. With -j and no OUT, the bytes are in the JSON.\n",
};

/* ---- disasm ---- */

static int disassemble(struct cli *c, const char *in, const char *out, const struct buf *bytes)
{
    struct disasm_opts opts = {.helper = helper_text};
    if (bytes->len % 8)
        return cli_fail(c, STATUS_REFUSED, "%s: %zu bytes are no whole number of 8-byte instructions",
                        strcmp(in, "-") ? in : "standard input", bytes->len);
    struct buf text = {0};
    disasm_text((const struct skep_insn *)bytes->data, bytes->len / 8, &opts, &text);
    int status = STATUS_OK;
    if (text.failed)
        status = cli_fail(c, STATUS_USAGE, "out of memory");
    else if (c->json && !out)
        json_str_at(&c->w, "text", buf_text(&text));
    else
        status = file_write(c, out ? out : "-", buf_text(&text), text.len);
    if (c->json)
        json_u64_at(&c->w, "insn_cnt", bytes->len / 8);
    buf_free(&text);
    return status;
}

static int run_disasm(struct cli *c, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_disasm, .argc = argc, .argv = argv};
    const char *in = NULL, *out = NULL;
    struct buf bytes = {0};
    int status = parse(&a, &in, &out);
    if (!status)
        status = file_read(c, in, MAX_BYTES, &bytes);
    if (!status)
        status = disassemble(c, in, out, &bytes);
    buf_free(&bytes);
    return status;
}

const struct command cmd_disasm = {
    .name = "disasm",
    .run = run_disasm,
    .usage = "[FILE] [-o OUT]",
    .summary = "turn 8-byte instructions into text",
    .help = "Reads instructions, 8 bytes each (`-` or nothing: standard input), and writes text that `skep asm` turns\n"
            "back into the same bytes, whatever they are.\n",
};
