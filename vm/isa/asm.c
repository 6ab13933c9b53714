/*
 * One pass over the lines fills growing runs of instructions, labels and references; a second pass over the references
 * alone puts in the distances. Every parsing function returns false once something failed, and the reader holds the
 * first failure; the caller then drops everything.
 */
#include "vm/isa/asm_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 256 << 20 };

struct label {
    struct span name;
    uint32_t slot, line;
};

/* `name:`, `1:`, and llvm-objdump's `0000000000000000 <name>:`. */
static bool label(struct assembler *as)
{
    struct lex *lx = &as->lx;
    struct label found = {.slot = asm_slots(as), .line = lx->line};
    const char *from, *p;

    lex_blanks(lx);
    from = p = lx->at;
    if (!lex_word(lx, &found.name)) {
        while (p < lx->end && ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'f')))
            p++;
        found.name = (struct span){from, (size_t)(p - from)};
        lx->at = p;
        if (found.name.len && lex_eat(lx, "<") && lex_word(lx, &found.name) && !lex_eat(lx, ">"))
            found.name.len = 0;
    }
    if (!found.name.len || !lex_eat(lx, ":"))
        return lx->at = from, false;
    buf_add(&as->labels, &found, sizeof(found));
    return true;
}

/* bpftool and the kernel write the code byte before the text: `(b7) r0 = 7`. It matters for wide loads alone, which
 * they write without `ll`. */
static void skip_code(struct assembler *as)
{
    struct lex *lx = &as->lx;
    const char *p = lx->at;

    as->said_wide = false;
    if (lx->end - p >= 4 && p[0] == '(' && p[3] == ')') {
        as->said_wide = p[1] == '1' && p[2] == '8';
        lx->at += 4;
    }
}

static bool line(struct assembler *as)
{
    while (!lex_line_ends(&as->lx) && label(as))
        ;
    if (as->lx.err)
        return false;
    skip_code(as);
    if (lex_line_ends(&as->lx))
        return true;
    if (!asm_instruction(as))
        return false;
    return lex_line_ends(&as->lx) || lex_fail(&as->lx, "nothing more is expected on this line");
}

static int by_name(const void *va, const void *vb)
{
    const struct label *a = va, *b = vb;
    int order = memcmp(a->name.at, b->name.at, a->name.len < b->name.len ? a->name.len : b->name.len);

    if (!order)
        order = (a->name.len > b->name.len) - (a->name.len < b->name.len);
    return order ? order : (a->slot > b->slot) - (a->slot < b->slot);
}

static bool is_numeric(struct span name)
{
    return name.at[0] >= '0' && name.at[0] <= '9';
}

static bool same_name(const struct label *l, struct span name)
{
    return l->name.len == name.len && !memcmp(l->name.at, name.at, name.len);
}

/* The label that a reference means, in labels sorted by name and slot. */
static const struct label *find_label(const struct label *labels, size_t n, const struct ref *ref)
{
    struct label key = {.name = ref->name, .slot = ref->side ? ref->slot : UINT32_MAX};
    size_t low = 0, high = n;

    while (low < high) { /* to the first that lies after the key */
        size_t mid = low + (high - low) / 2;

        if (by_name(&labels[mid], &key) <= 0)
            low = mid + 1;
        else
            high = mid;
    }
    if (ref->side == 'f')
        return low < n && same_name(&labels[low], ref->name) ? &labels[low] : NULL;
    return low > 0 && same_name(&labels[low - 1], ref->name) ? &labels[low - 1] : NULL;
}

static bool resolve(struct assembler *as, const struct ref *ref, const struct label *to)
{
    struct skep_insn *insn = (struct skep_insn *)(void *)as->insns.data + ref->slot;
    struct span name = ref->name;
    uint32_t id;
    int64_t distance;

    if (!to) {
        bool prefixed = name.len > 4 && !memcmp(name.at, "bpf_", 4);

        if (ref->kind == REF_CALL && as->opts && as->opts->helper &&
            as->opts->helper(as->opts->ctx, name.at + (prefixed ? 4 : 0), name.len - (prefixed ? 4 : 0), &id)) {
            *insn = isa_encode(ISA_CALL_HELPER, 0, 0, 0, (int32_t)id);
            return true;
        }
        return lex_fail_at(&as->lx, name.at, ref->line, "there is no %s '%.*s'",
                           ref->kind == REF_CALL ? "label or helper" : "label", (int)name.len, name.at);
    }
    distance = (int64_t)to->slot - ref->slot - 1;
    if (ref->kind != REF_OFF) {
        insn->imm = (int32_t)distance;
        return true;
    }
    if (distance != (int16_t)distance)
        return lex_fail_at(&as->lx, name.at, ref->line, "the label is %lld instructions away: more than 16 bits hold",
                           (long long)distance);
    insn->off = (int16_t)distance;
    return true;
}

static bool resolve_all(struct assembler *as)
{
    const struct ref *refs = (const void *)as->refs.data;
    size_t n_refs = as->refs.len / sizeof(*refs), n = as->labels.len / sizeof(struct label);
    struct label *sorted = malloc(as->labels.len + 1);
    bool ok = true;

    if (!sorted) {
        as->lx.err = log_fail(as->lx.log, -ENOMEM, "out of memory");
        return false;
    }
    if (n) {
        memcpy(sorted, as->labels.data, as->labels.len);
        qsort(sorted, n, sizeof(*sorted), by_name);
    }
    for (size_t i = 1; i < n && ok; i++)
        if (same_name(&sorted[i - 1], sorted[i].name) && !is_numeric(sorted[i].name))
            ok = lex_fail_at(&as->lx, sorted[i].name.at, sorted[i].line, "label '%.*s' stands on line %u as well",
                             (int)sorted[i].name.len, sorted[i].name.at, sorted[i - 1].line);
    for (size_t i = 0; i < n_refs && ok; i++)
        ok = resolve(as, &refs[i], find_label(sorted, n, &refs[i]));
    free(sorted);
    return ok;
}

/* Gives the labels' names, which point into the text, memory of their own behind the array. */
static struct asm_label *own_labels(const struct buf *labels, uint32_t *count)
{
    const struct label *from = (const void *)labels->data;
    size_t n = labels->len / sizeof(*from), bytes = 0;
    struct asm_label *own;
    char *names;

    for (size_t i = 0; i < n; i++)
        bytes += from[i].name.len + 1;
    own = malloc(n * sizeof(*own) + bytes + 1);
    if (!own)
        return NULL;
    names = (char *)(own + n);
    for (size_t i = 0; i < n; i++) {
        own[i] = (struct asm_label){.name = names, .slot = from[i].slot, .line = from[i].line};
        memcpy(names, from[i].name.at, from[i].name.len);
        names[from[i].name.len] = 0;
        names += from[i].name.len + 1;
    }
    *count = (uint32_t)n;
    return own;
}

static int finish(struct assembler *as, struct asm_out *out)
{
    if (as->insns.failed || as->lines.failed || as->labels.failed || as->refs.failed)
        return log_fail(as->lx.log, -ENOMEM, "out of memory");
    if (!resolve_all(as))
        return as->lx.err;
    out->labels = own_labels(&as->labels, &out->n_labels);
    if (!out->labels)
        return log_fail(as->lx.log, -ENOMEM, "out of memory");
    out->n_insns = asm_slots(as);
    out->insns = (struct skep_insn *)(void *)as->insns.data;
    out->lines = (uint32_t *)(void *)as->lines.data;
    as->insns.data = as->lines.data = NULL;
    return 0;
}

int asm_text(const char *text, size_t len, const struct asm_opts *opts, const struct log *log, struct asm_out *out)
{
    struct assembler as = {.lx = {.at = text, .end = text + len, .text = text, .line = 1, .log = log}, .opts = opts};
    int err;

    *out = (struct asm_out){0};
    if (len > MAX_TEXT)
        return log_fail(log, -E2BIG, "the text is longer than 256 MiB");
    do {
        line(&as);
    } while (!as.lx.err && lex_next_line(&as.lx));
    err = as.lx.err ? as.lx.err : finish(&as, out);
    buf_free(&as.insns);
    buf_free(&as.lines);
    buf_free(&as.labels);
    buf_free(&as.refs);
    return err;
}

void asm_free(struct asm_out *out)
{
    free(out->insns);
    free(out->lines);
    free(out->labels);
    *out = (struct asm_out){0};
}
