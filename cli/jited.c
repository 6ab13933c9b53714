/*
 * `skep dump --jited`: machine code, in the order in which it lies, between the instructions that it came from and
 * their C lines; as `bpftool prog dump jited linum` prints it, and with its JSON. An instruction whose code the
 * optimiser took apart or put elsewhere stands before each part, and one that left no code does not stand at all.
 */
#include "cli/jited.h"
#include "vm/listing.h"
#include <errno.h>
#include <string.h>

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#include <dlfcn.h>

/* Capstone is opened when machine code is to be shown: its tables take megabytes and time, and nothing else here needs
 * it. */
#define CALLED(name) __typeof__(&name) name
#define FOUND(c, fn) ((c)->fn = (__typeof__(&fn))dlsym((c)->library, #fn))
#define TEXT_OF(x)   #x
#define LIBRARY(n)   "libcapstone.so." TEXT_OF(n)

struct capstone {
    void *library;
    CALLED(cs_open);
    CALLED(cs_close);
    CALLED(cs_option);
    CALLED(cs_malloc);
    CALLED(cs_free);
    CALLED(cs_disasm_iter);
};

static bool open_capstone(struct capstone *c)
{
    c->library = dlopen(LIBRARY(CS_API_MAJOR), RTLD_NOW | RTLD_LOCAL);
    return c->library && FOUND(c, cs_open) && FOUND(c, cs_close) && FOUND(c, cs_option) && FOUND(c, cs_malloc) &&
           FOUND(c, cs_free) && FOUND(c, cs_disasm_iter);
}

struct jited {
    struct cli *c;
    const struct jited_opts *o;
    const struct prog *prog;
    const struct jit_view *view;
    struct capstone cs;
    csh dis;
    cs_insn *insn;
    const struct prog_line *line; /* shown last */
    uint32_t slot;                /* the same; UINT32_MAX: none */
};

/* ---- One machine instruction ---- */

static void print_machine(const struct jited *d)
{
    const cs_insn *i = d->insn;
    printf("%8llx:\t%s%s%s\n", (unsigned long long)i->address, i->mnemonic, *i->op_str ? " " : "", i->op_str);
    if (!d->o->opcodes)
        return;
    printf("         \t");
    for (unsigned k = 0; k < i->size; k++)
        printf("%02x%c", i->bytes[k], k + 1u < i->size ? ' ' : '\n');
}

/* Operands are what commas part, except those inside parentheses. */
static void json_operands(struct json_writer *w, const char *text)
{
    struct buf one = {0};
    int depth = 0;
    json_name(w, "operands");
    json_array_begin(w);
    for (; *text; text++) {
        depth += (*text == '(') - (*text == ')');
        if (*text == ',' && !depth) {
            json_string(w, buf_text(&one));
            buf_clear(&one);
        } else if (*text != ' ' || one.len) {
            buf_putc(&one, *text);
        }
    }
    if (one.len)
        json_string(w, buf_text(&one));
    json_array_end(w);
    buf_free(&one);
}

static void json_machine(const struct jited *d, const struct prog_line *line)
{
    struct json_writer *w = &d->c->w;
    char pc[24];
    json_object_begin(w);
    if (line && !d->o->no_lines) {
        json_str_at(w, "src", line->text);
        json_str_at(w, "file", line->file);
        json_u64_at(w, "line_num", line->line);
        json_u64_at(w, "line_col", line->col);
    }
    if (d->slot != UINT32_MAX)
        json_u64_at(w, "insn", d->slot);
    snprintf(pc, sizeof(pc), "0x%llx", (unsigned long long)d->insn->address);
    json_str_at(w, "pc", pc);
    json_str_at(w, "operation", d->insn->mnemonic);
    json_operands(w, d->insn->op_str);
    if (d->o->opcodes)
        json_bytes_at(w, "opcodes", d->insn->bytes, d->insn->size);
    json_object_end(w);
}

/* ---- A function ---- */

/* The instruction that the code from here on came from: shown, with its line where that is another one. */
static const struct prog_line *enter_slot(struct jited *d, uint32_t slot)
{
    const struct prog_line *line = prog_line_at(d->prog, slot), *new_line = line != d->line ? line : NULL;
    struct buf text = {0};
    if (slot == d->slot)
        return NULL;
    d->slot = slot;
    d->line = line;
    if (d->c->json)
        return new_line;
    if (new_line && !d->o->no_lines)
        printf("; %s [file:%s line_num:%u line_col:%u]\n", line->text, line->file, line->line, line->col);
    listing_insn(d->prog, slot, &text);
    printf("%4u: %s\n", slot, buf_text(&text));
    buf_free(&text);
    return NULL;
}

static void begin_func(const struct jited *d, uint32_t i)
{
    struct buf text = {0};
    char name[256];
    listing_func(d->prog, &d->prog->funcs[i], &text);
    jit_symbol(d->prog, i, name, sizeof(name));
    if (d->c->json) {
        json_object_begin(&d->c->w);
        json_str_at(&d->c->w, "name", name);
        json_str_at(&d->c->w, "proto", buf_text(&text));
        json_u64_at(&d->c->w, "size", d->view->frames[i].end - d->view->frames[i].begin);
        json_name(&d->c->w, "insns");
        json_array_begin(&d->c->w);
    } else {
        printf("%s:\n%s:\n", buf_text(&text), name);
    }
    buf_free(&text);
}

static void dump_func(struct jited *d, uint32_t i, uint32_t *at)
{
    const struct jit_frame *f = &d->view->frames[i];
    const uint8_t *code = d->view->code + f->begin;
    size_t left = f->end - f->begin;
    uint64_t address = 0; /* from the function's beginning, so that jumps tell where in it they go */
    d->line = NULL;
    d->slot = UINT32_MAX;
    begin_func(d, i);
    while (left) {
        const struct prog_line *line = NULL;
        uint64_t offset = address + f->begin;
        uint32_t slot = UINT32_MAX;
        for (; *at < d->view->n_lines && d->view->lines[*at].offset <= offset; ++*at)
            slot = d->view->lines[*at].slot;
        if (slot != UINT32_MAX)
            line = enter_slot(d, slot);
        if (!d->cs.cs_disasm_iter(d->dis, &code, &left, &address, d->insn))
            break;
        if (d->c->json)
            json_machine(d, line);
        else
            print_machine(d);
    }
    if (left && !d->c->json)
        printf("        \t(%zu bytes that Capstone does not know)\n", left);
    if (d->c->json) {
        json_array_end(&d->c->w);
        json_object_end(&d->c->w);
    }
}

static void dump_funcs(struct jited *d)
{
    uint32_t at = 0;
    if (d->c->json) {
        json_object_begin(&d->c->w);
        json_str_at(&d->c->w, "name", d->prog->name);
        json_str_at(&d->c->w, "section", d->prog->section);
        json_str_at(&d->c->w, "type", d->prog->type ? d->prog->type->name : "raw");
        json_u64_at(&d->c->w, "insn_cnt", d->prog->n_insns);
        json_u64_at(&d->c->w, "bytes_jited", d->view->size);
        json_name(&d->c->w, "funcs");
        json_array_begin(&d->c->w);
    }
    for (uint32_t i = 0; i < d->view->n_funcs; i++)
        dump_func(d, i, &at);
    if (d->c->json) {
        json_array_end(&d->c->w);
        json_object_end(&d->c->w);
    }
}

/* AT&T's syntax is what bpftool prints. */
static bool open_disassembler(const struct capstone *cs, csh *out)
{
#if defined(__x86_64__)
    if (cs->cs_open(CS_ARCH_X86, CS_MODE_64, out))
        return false;
    cs->cs_option(*out, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
    return true;
#elif defined(__aarch64__)
    return !cs->cs_open(CS_ARCH_ARM64, CS_MODE_ARM, out);
#else
    (void)cs, (void)out;
    return false;
#endif
}

int jited_dump(struct cli *c, const struct code *code, const struct jited_opts *o)
{
    struct jit_view view;
    struct jited d = {.c = c, .o = o, .prog = code->prog, .view = &view};
    if (!jit_view(code, &view))
        return cli_fail(c, STATUS_REFUSED, "program '%s' has no machine code", code->prog->name);
    if (!open_capstone(&d.cs))
        return cli_fail(c, STATUS_REFUSED,
                        "machine code is shown through Capstone, and " LIBRARY(CS_API_MAJOR) " cannot be opened");
    if (!open_disassembler(&d.cs, &d.dis))
        return cli_fail(c, STATUS_REFUSED, "Capstone does not know this machine");
    d.insn = d.cs.cs_malloc(d.dis);
    if (d.insn)
        dump_funcs(&d);
    int status = d.insn ? STATUS_OK : cli_fail(c, STATUS_USAGE, "out of memory");
    if (d.insn)
        d.cs.cs_free(d.insn, 1);
    d.cs.cs_close(&d.dis);
    return status;
}

#else

int jited_dump(struct cli *c, const struct code *code, const struct jited_opts *o)
{
    (void)code, (void)o;
    return cli_fail(c, STATUS_REFUSED, "this skep was built without Capstone, which shows machine code");
}

#endif
