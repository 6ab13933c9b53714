/*
 * The report of a trap: where it happened in the C source, which instruction, which address, and what lies near.
 */
#include "cli/run.h"
#include "vm/listing.h"
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

/* After a tail call it is another program's instruction, found again by name. */
static const struct prog *prog_of_trap(const struct run *r, const struct skep_trap *trap)
{
    const struct prog *prog = r->prog->code ? r->prog->code->prog : NULL;
    if (prog && !strcmp(prog->name, trap->prog))
        return prog;
    for (uint32_t i = 0; r->obj && i < r->obj->obj->n_progs; i++) {
        const struct prog *p = r->obj->obj->progs[i].prog;
        if (p && !strcmp(p->name, trap->prog))
            return p;
    }
    return NULL;
}

static void insn_text(const struct run *r, const struct skep_trap *trap, struct buf *out)
{
    const struct prog *prog = prog_of_trap(r, trap);
    if (prog && trap->insn < prog->n_insns)
        listing_insn(prog, trap->insn, out);
}

static const char *trim(const char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* The caret stands under its column; tabs before it stay tabs. */
static void print_source(const struct skep_trap *trap)
{
    fprintf(stderr, "%5u | %s\n", trap->line, trap->source);
    if (!trap->col || trap->col > strlen(trap->source))
        return;
    fputs("      | ", stderr);
    for (uint32_t i = 0; i + 1 < trap->col; i++)
        fputc(trap->source[i] == '\t' ? '\t' : ' ', stderr);
    fputs("^\n", stderr);
}

static void print(const struct skep_trap *trap, const char *where, const char *insn)
{
    fflush(stdout);
    if (*trap->file)
        fprintf(stderr, "%s:%u:%u: ", trap->file, trap->line, trap->col);
    fprintf(stderr, "%s: %s\n", trap->kind, trap->text);
    if (*trap->source)
        print_source(trap);
    fprintf(stderr, "      = program %s", trap->prog);
    if (*trap->func && strcmp(trap->func, trap->prog))
        fprintf(stderr, ", function %s", trap->func);
    fprintf(stderr, ", instruction %u: %s\n", trap->insn, insn);
    if (*trap->detail)
        fprintf(stderr, "      = %s\n", trap->detail);
    else if (trap->size)
        fprintf(stderr, "      = address 0x%" PRIx64 ", %u bytes\n", trap->addr, trap->size);
    if (where)
        fprintf(stderr, "      = %s\n", where);
}

static void json(struct json_writer *w, const struct skep_trap *trap, const char *where, const char *insn)
{
    json_name(w, "trap");
    json_object_begin(w);
    json_str_at(w, "kind", trap->kind);
    json_str_at(w, "text", trap->text);
    json_str_at(w, "detail", trap->detail);
    json_str_at(w, "program", trap->prog);
    json_str_at(w, "func", trap->func);
    json_u64_at(w, "insn", trap->insn);
    json_str_at(w, "disasm", insn);
    if (*trap->file) {
        json_str_at(w, "file", trap->file);
        json_u64_at(w, "line_num", trap->line);
        json_u64_at(w, "line_col", trap->col);
        json_str_at(w, "src", trim(trap->source));
    }
    if (trap->size) {
        json_name(w, "address");
        json_hex(w, trap->addr);
        json_u64_at(w, "size", trap->size);
    }
    if (where)
        json_str_at(w, "where", where);
    json_object_end(w);
}

void trap_show(struct run *r, const struct skep_trap *trap, const char *where)
{
    struct buf insn = {0};
    insn_text(r, trap, &insn);
    if (r->c->json)
        json(&r->c->w, trap, where, buf_text(&insn));
    else
        print(trap, where, buf_text(&insn));
    buf_free(&insn);
}
