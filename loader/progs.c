/*
 * Functions are the STT_FUNC symbols of executable sections; which of them are programs follows libbpf: all outside of
 * .text, and one in .text when it is the only function of the object (code without any SEC()). The table is sorted by
 * place, so that a slot finds its function by bisection, and programs keep that order, as in libbpf.
 */
#include "loader/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int by_place(const void *a, const void *b)
{
    const struct load_func *x = a, *y = b;

    if (x->sec != y->sec)
        return x->sec < y->sec ? -1 : 1;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Hand-written assembly may leave out .size: such a function reaches to the next one or to the section's end. */
static void extend_unsized(struct object_elf *e)
{
    for (uint32_t i = 0; i < e->n_funcs; i++) {
        struct load_func *f = &e->funcs[i];
        uint32_t end = (uint32_t)(e->elf.sections[f->sec].size / 8);

        if (f->n)
            continue;
        for (uint32_t j = i + 1; j < e->n_funcs && e->funcs[j].sec == f->sec; j++)
            if (e->funcs[j].start > f->start) {
                end = e->funcs[j].start;
                break;
            }
        f->n = end - f->start;
    }
}

static int check_overlap(const struct object_elf *e, const struct log *log)
{
    for (uint32_t i = 1; i < e->n_funcs; i++) {
        const struct load_func *a = &e->funcs[i - 1], *b = &e->funcs[i];

        if (a->sec != b->sec || b->start >= a->start + a->n || (a->start == b->start && a->n == b->n))
            continue;
        return log_fail(log, -EINVAL, "section '%s': functions '%s' and '%s' overlap", e->elf.sections[a->sec].name,
                        a->name, b->name);
    }
    return 0;
}

static int add_func(struct object_elf *e, const struct elf_symbol *sym, const struct log *log)
{
    const struct elf_section *s = &e->elf.sections[sym->shndx];

    if (sym->value % 8 || sym->size % 8)
        return log_fail(log, -EINVAL, "section '%s': function '%s' (%llu bytes at %llu) is not made of 8-byte slots",
                        s->name, sym->name, (unsigned long long)sym->size, (unsigned long long)sym->value);
    if (sym->value == s->size)
        return log_fail(log, -EINVAL, "section '%s': function '%s' has no instructions", s->name, sym->name);
    if (sym->shndx != e->text && sym->bind == STB_LOCAL)
        return log_fail(
            log, -ENOTSUP,
            "section '%s': program '%s' is static, which libbpf does not support; drop `static` or its SEC()", s->name,
            sym->name);
    e->funcs[e->n_funcs++] = (struct load_func){
        .name = sym->name,
        .sec = sym->shndx,
        .start = (uint32_t)(sym->value / 8),
        .n = (uint32_t)(sym->size / 8),
        .global = sym->bind != STB_LOCAL && sym->vis == STV_DEFAULT,
        .prog = -1,
    };
    return 0;
}

static bool is_func(const struct elf *elf, const struct elf_symbol *sym)
{
    return sym->type == STT_FUNC && sym->shndx && sym->shndx < elf->n_sections &&
           elf_is_code(&elf->sections[sym->shndx]);
}

/* A program's section name says what it is: "?" first means that it is not loaded unless asked for. */
static void describe(const struct object_elf *e, const struct load_func *f, const struct log *log,
                     struct object_prog *p)
{
    const char *section = e->elf.sections[f->sec].name;

    p->name = f->name;
    p->autoload = section[0] != '?';
    p->section = section + !p->autoload;
    p->target = "";
    p->n_insns = f->n;
    p->sec = section_find(p->section, &p->target);
    if (!p->sec) {
        p->target = "";
        p->sec = section_guess(p->section);
        if (p->sec)
            log_info(log, "program '%s': section '%s' is read as '%s', as libbpf did before 1.0", p->name, p->section,
                     p->sec->prefix);
    }
    if (!p->target)
        p->target = "";
    if (p->sec) {
        p->type = p->sec->type;
        p->attach_type = p->sec->attach_type;
    }
}

int load_funcs(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t n = 0, n_progs = 0;
    int err;

    for (uint32_t i = 1; i < e->elf.n_sections; i++) {
        const struct elf_section *s = &e->elf.sections[i];

        if (!elf_is_code(s))
            continue;
        if (s->size % 8 || s->size / 8 > PROG_MAX_INSNS)
            return log_fail(log, -EINVAL, "section '%s': %llu bytes of code, which are not 1 to %d slots of 8 bytes",
                            s->name, (unsigned long long)s->size, PROG_MAX_INSNS);
        if (!strcmp(s->name, ".text") && !e->text)
            e->text = i;
    }
    for (uint32_t i = 0; i < e->elf.n_symbols; i++)
        n += is_func(&e->elf, &e->elf.symbols[i]);
    e->funcs = ARENA_ARRAY(&obj->arena, struct load_func, n);
    if (!e->funcs)
        return log_fail(log, -ENOMEM, "no memory for %u functions", n);
    for (uint32_t i = 0; i < e->elf.n_symbols; i++) {
        if (!is_func(&e->elf, &e->elf.symbols[i]))
            continue;
        err = add_func(e, &e->elf.symbols[i], log);
        if (err)
            return err;
    }
    qsort(e->funcs, n, sizeof(*e->funcs), by_place);
    extend_unsized(e);
    err = check_overlap(e, log);
    if (err)
        return err;
    obj->progs = ARENA_ARRAY(&obj->arena, struct object_prog, n);
    if (!obj->progs)
        return log_fail(log, -ENOMEM, "no memory for %u programs", n);
    for (uint32_t i = 0; i < n; i++) {
        if (e->funcs[i].sec == e->text && n > 1)
            continue;
        e->funcs[i].prog = (int32_t)n_progs;
        describe(e, &e->funcs[i], log, &obj->progs[n_progs++]);
    }
    obj->n_progs = n_progs;
    return 0;
}

/* The last function that starts at or before the slot. */
static struct load_func *last_before(const struct object_elf *e, uint32_t sec, uint32_t slot)
{
    uint32_t low = 0, high = e->n_funcs;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct load_func *f = &e->funcs[mid];

        if (f->sec < sec || (f->sec == sec && f->start <= slot))
            low = mid + 1;
        else
            high = mid;
    }
    return low && e->funcs[low - 1].sec == sec ? &e->funcs[low - 1] : NULL;
}

struct load_func *load_func_at(const struct object_elf *e, uint32_t sec, uint32_t slot)
{
    struct load_func *f = last_before(e, sec, slot);

    return f && f->start == slot ? f : NULL;
}

struct load_func *load_func_with(const struct object_elf *e, uint32_t sec, uint32_t slot)
{
    struct load_func *f = last_before(e, sec, slot);

    return f && slot - f->start < f->n ? f : NULL;
}
