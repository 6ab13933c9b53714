/*
 * Linking makes programs of functions: an entry, and after it every subprogram that it reaches by calls or by taking
 * its address, depth first in the order of first use, as libbpf lays them out. `place` holds where each function of the
 * program being built begins; calls and function addresses become distances between places. Map references become
 * indices, externs addresses, and what cannot run gets its reason.
 */
#include "loader/load.h"
#include "vm/abi/kfuncs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALL = 0x85, LD_IMM64 = 0x18, NOT_PLACED = UINT32_MAX };

/* BPF_PSEUDO_*: what src_reg says of a call or of a two-slot load. */
enum { SRC_PLAIN = 0, SRC_CALL = 1, SRC_KFUNC = 2, SRC_FUNC = 4, SRC_MAP_IDX = 5, SRC_MAP_IDX_VALUE = 6 };

/* A function whose slots are being walked. */
struct frame {
    uint32_t func, slot; /* slot within the function */
};

struct linker {
    struct object *obj;
    const struct object_link_opts *opts;
    const struct log *log;
    struct arena *tmp;
    struct frame *stack; /* room for every function once */
    uint32_t *place;     /* by function */
    uint32_t *order;     /* functions of the program, as placed */
    uint32_t n_order;
    uint32_t catcher; /* its exception callback, LOAD_NO_FUNC: none */
    struct skep_insn *insns;
    uint32_t n_insns, cap_insns;
    struct prog_poison *poison;
    uint32_t *poison_at;
    uint32_t n_poison, cap_poison;
    struct prog_extern *externs;
    uint32_t n_externs;
    struct prog_ksym *ksyms;
    uint32_t n_ksyms, cap_ksyms;
    int32_t *extern_idx; /* by extern of the object: index in externs, -1 */
    uint64_t total;      /* instructions of all programs */
    uint64_t total_lines, total_maps;
};

static int no_memory(const struct linker *l)
{
    return log_fail(l->log, -ENOMEM, "no memory for linking");
}

static const char *section_of(const struct linker *l, const struct load_func *f)
{
    return l->obj->elf->elf.sections[f->sec].name;
}

static bool is_wide(const struct skep_insn *insn)
{
    return insn->code == LD_IMM64;
}

/* The function that an instruction of f calls or points to. @return 0 and *out, NULL when it is no such instruction. */
static int target_of(const struct linker *l, const struct load_func *f, uint32_t slot, const struct skep_insn *insn,
                     const struct load_func **out)
{
    const struct object_elf *e = l->obj->elf;
    bool call = insn->code == CALL && insn->src_reg == SRC_CALL, func = is_wide(insn) && insn->src_reg == SRC_FUNC;
    const struct load_reloc *r;
    int64_t to;

    *out = NULL;
    if (insn->code != CALL && !is_wide(insn))
        return 0;
    r = load_reloc_at(&e->code[f->sec], slot);
    if (r) {
        if (r->kind == RELOC_CALL || r->kind == RELOC_FUNC)
            *out = &e->funcs[r->index];
        return 0;
    }
    if (func)
        return log_fail(l->log, -EINVAL, SLOT_FMT ": a function's address without a relocation", section_of(l, f),
                        slot);
    if (!call)
        return 0;
    /* The assembler resolves calls inside of one section by itself. */
    to = (int64_t)slot + insn->imm + 1;
    *out = to >= 0 && to <= PROG_MAX_INSNS ? load_func_at(e, f->sec, (uint32_t)to) : NULL;
    if (!*out)
        return log_fail(l->log, -EINVAL, SLOT_FMT ": calls instruction %lld, where no function starts",
                        section_of(l, f), slot, (long long)to);
    return 0;
}

static struct skep_insn raw_insn(const struct object_elf *e, uint32_t sec, uint32_t slot)
{
    struct skep_insn insn;

    memcpy(&insn, e->elf.sections[sec].data + (size_t)slot * sizeof(insn), sizeof(insn));
    return insn;
}

/* Marks what is reached from one entry. */
static int mark(struct linker *l, uint32_t entry)
{
    struct object_elf *e = l->obj->elf;
    uint32_t depth = 0;

    if (e->funcs[entry].used)
        return 0;
    e->funcs[entry].used = true;
    l->stack[depth++].func = entry;
    while (depth) {
        const struct load_func *f = &e->funcs[l->stack[--depth].func];

        for (uint32_t i = 0; i < f->n; i++) {
            struct skep_insn insn = raw_insn(e, f->sec, f->start + i);
            const struct load_func *to;
            int err = target_of(l, f, f->start + i, &insn, &to);

            if (err)
                return err;
            if (is_wide(&insn) && ++i == f->n)
                return log_fail(l->log, -EINVAL, SLOT_FMT ": a two-slot load is cut by the end of '%s'",
                                section_of(l, f), f->start + i - 1, f->name);
            if (!to || to->used)
                continue;
            e->funcs[to - e->funcs].used = true;
            l->stack[depth++].func = (uint32_t)(to - e->funcs);
        }
    }
    return 0;
}

/* Code that CO-RE may change is copied, a section at a time, when something of it is used. */
static int copy_code(struct linker *l)
{
    struct object_elf *e = l->obj->elf;

    for (uint32_t i = 0; i < e->n_funcs; i++) {
        uint32_t sec = e->funcs[i].sec;

        if (!e->funcs[i].used || e->code[sec].insns)
            continue;
        e->code[sec].insns = arena_memdup(l->tmp, e->elf.sections[sec].data, e->elf.sections[sec].size);
        if (!e->code[sec].insns)
            return no_memory(l);
    }
    return 0;
}

static int place_func(struct linker *l, uint32_t func)
{
    const struct object_elf *e = l->obj->elf;
    const struct load_func *f = &e->funcs[func];

    if (f->n > PROG_MAX_INSNS - l->n_insns)
        return log_fail(l->log, -E2BIG, "program '%s': more than %d instructions with its subprograms",
                        e->funcs[l->order[0]].name, PROG_MAX_INSNS);
    if (l->n_insns + f->n > l->cap_insns) {
        uint32_t cap = (l->n_insns + f->n) * 2;
        struct skep_insn *insns = realloc(l->insns, cap * sizeof(*insns));

        if (!insns)
            return no_memory(l);
        l->insns = insns;
        l->cap_insns = cap;
    }
    memcpy(l->insns + l->n_insns, e->code[f->sec].insns + f->start, f->n * sizeof(*l->insns));
    l->place[func] = l->n_insns;
    l->order[l->n_order++] = func;
    l->n_insns += f->n;
    return 0;
}

/* Lays out entry and all it reaches, and makes calls and function addresses distances. */
static int lay_out(struct linker *l, uint32_t entry)
{
    const struct object_elf *e = l->obj->elf;
    uint32_t depth = 0;
    int err = place_func(l, entry);

    l->stack[depth++] = (struct frame){entry, 0};
    while (depth && !err) {
        struct frame *top = &l->stack[depth - 1];
        const struct load_func *f = &e->funcs[top->func], *to = NULL;
        uint32_t at = l->place[top->func] + top->slot;
        struct skep_insn *insn;

        if (top->slot >= f->n) {
            depth--;
            continue;
        }
        insn = &l->insns[at];
        err = target_of(l, f, f->start + top->slot, insn, &to);
        top->slot += 1 + is_wide(insn);
        if (err || !to)
            continue;
        if (l->place[to - e->funcs] == NOT_PLACED) {
            err = place_func(l, (uint32_t)(to - e->funcs));
            if (err)
                break;
            insn = &l->insns[at];
            l->stack[depth++] = (struct frame){(uint32_t)(to - e->funcs), 0};
        }
        insn->imm = (int32_t)(l->place[to - e->funcs] - at - 1);
        insn->src_reg = is_wide(insn) ? SRC_FUNC : SRC_CALL;
        if (is_wide(insn))
            insn[1].imm = 0;
    }
    return err;
}

static int add_poison(struct linker *l, uint32_t at, enum trap_kind kind, const char *reason)
{
    if (!reason)
        return no_memory(l);
    if (l->n_poison == l->cap_poison) {
        uint32_t cap = l->cap_poison ? l->cap_poison * 2 : 16;
        struct prog_poison *poison = realloc(l->poison, cap * sizeof(*poison));
        uint32_t *where = poison ? realloc(l->poison_at, cap * sizeof(*where)) : NULL;

        if (poison)
            l->poison = poison;
        if (where)
            l->poison_at = where;
        if (!poison || !where)
            return no_memory(l);
        l->cap_poison = cap;
    }
    l->poison[l->n_poison] = (struct prog_poison){.kind = kind, .reason = reason};
    l->poison_at[l->n_poison++] = at;
    return 0;
}

static void put_wide(struct skep_insn *insn, unsigned src, uint32_t low, uint32_t high)
{
    insn[0].src_reg = src & 15;
    insn[0].off = 0;
    insn[0].imm = (int32_t)low;
    insn[1].imm = (int32_t)high;
}

static int add_ksym(struct linker *l, const struct load_extern *x, const struct load_reloc *r, uint32_t at)
{
    if (l->n_ksyms == l->cap_ksyms) {
        uint32_t cap = l->cap_ksyms ? l->cap_ksyms * 2 : 16;
        struct prog_ksym *ksyms = realloc(l->ksyms, cap * sizeof(*ksyms));

        if (!ksyms)
            return no_memory(l);
        l->ksyms = ksyms;
        l->cap_ksyms = cap;
    }
    l->ksyms[l->n_ksyms++] =
        (struct prog_ksym){.name = x->name, .insn = at, .btf_id = x->kernel_id, .off = (int32_t)r->off};
    return 0;
}

static int put_extern_address(struct linker *l, const struct load_func *f, const struct load_reloc *r, uint32_t at)
{
    struct load_extern *x = &l->obj->elf->externs[r->index];
    bool func = x->kind == EXTERN_KSYM_FUNC;
    uint64_t value = x->found ? x->addr + (int64_t)(int32_t)r->off : 0;

    if (x->found || x->weak) {
        put_wide(&l->insns[at], SRC_PLAIN, (uint32_t)value, (uint32_t)(value >> 32));
        return x->found && x->kernel_id ? add_ksym(l, x, r, at) : 0;
    }
    log_warn(l->log, SLOT_FMT " ('%s'): kernel %s '%s' is not available; reaching it traps", section_of(l, f), r->insn,
             f->name, func ? "function" : "variable", x->name);
    put_wide(&l->insns[at], SRC_PLAIN, 0, 0);
    return add_poison(l, at, func ? TRAP_kfunc_missing : TRAP_ksym_missing,
                      arena_printf(l->tmp, "kernel %s '%s' is not available; declare it __weak to test for it",
                                   func ? "function" : "variable", x->name));
}

/* A weak function that is missing may well stand behind a test for it, so only strong ones are worth a warning. */
static int put_extern_call(struct linker *l, const struct load_func *f, const struct load_reloc *r, uint32_t at)
{
    const struct load_extern *x = &l->obj->elf->externs[r->index];
    struct skep_insn *insn = &l->insns[at];
    bool here = x->kfunc && x->kfunc->call.body, said = l->extern_idx[r->index] >= 0;

    if (!said) {
        l->extern_idx[r->index] = (int32_t)l->n_externs;
        l->externs[l->n_externs++] =
            (struct prog_extern){.name = x->name, .btf_id = x->btf_id, .weak = x->weak, .kfunc = x->kfunc};
    }
    insn->src_reg = SRC_KFUNC;
    insn->off = 0;
    insn->imm = l->extern_idx[r->index];
    if (here)
        return 0;
    if (!said)
        log_say(l->log, x->weak ? SKEP_LOG_DEBUG : SKEP_LOG_WARN,
                SLOT_FMT " ('%s'): kernel function '%s' is not available; reaching it traps", section_of(l, f), r->insn,
                f->name, x->name);
    if (add_poison(l, at, TRAP_kfunc_missing, arena_printf(l->tmp, "kernel function '%s' is not available", x->name)))
        return -ENOMEM;
    l->poison[l->n_poison - 1].function = x->name;
    return 0;
}

static int put_reloc(struct linker *l, const struct load_func *f, const struct load_reloc *r, uint32_t at)
{
    switch (r->kind) {
    case RELOC_CALL:
    case RELOC_FUNC: return 0;
    case RELOC_MAP: put_wide(&l->insns[at], SRC_MAP_IDX, r->index, 0); return 0;
    case RELOC_DATA:
    case RELOC_ARENA: put_wide(&l->insns[at], SRC_MAP_IDX_VALUE, r->index, r->off); return 0;
    case RELOC_EXTERN_CALL: return put_extern_call(l, f, r, at);
    case RELOC_EXTERN_ADDR: return put_extern_address(l, f, r, at);
    }
    return 0;
}

/* Helpers that this build does not have: named once a program. */
static int put_helper(struct linker *l, const struct load_func *f, uint32_t slot, uint32_t at, uint32_t *said)
{
    uint32_t id = (uint32_t)l->insns[at].imm;
    const struct helper *h = helper_set_find(l->opts->helpers, id);
    const struct helper *known = h ? h : helper_find(id);
    const char *reason;

    if (h && (h->body || (h->effects & EFFECT_ENGINE)))
        return 0;
    reason = known ? arena_printf(l->tmp, "helper bpf_%s is not available", known->name)
                   : arena_printf(l->tmp, "helper number %u does not exist in Linux 6.18", id);
    if (reason && *said != id + 1)
        log_warn(l->log, SLOT_FMT " ('%s'): %s; reaching it traps", section_of(l, f), slot, f->name, reason);
    *said = id + 1;
    if (add_poison(l, at, TRAP_helper_missing, reason))
        return -ENOMEM;
    l->poison[l->n_poison - 1].helper = id;
    return 0;
}

static int check_wide(const struct linker *l, const struct load_func *f, uint32_t slot, const struct skep_insn *insn)
{
    if (insn->src_reg == SRC_PLAIN || insn->src_reg == SRC_FUNC)
        return 0;
    return log_fail(l->log, -EINVAL, SLOT_FMT ": a two-slot load of kind %d without a relocation", section_of(l, f),
                    slot, insn->src_reg);
}

/* Everything but calls and function addresses, function by function. */
static int relocate(struct linker *l)
{
    const struct object_elf *e = l->obj->elf;
    uint32_t said = 0;
    int err = 0;

    for (uint32_t i = 0; i < l->n_order; i++) {
        const struct load_func *f = &e->funcs[l->order[i]];
        const struct load_code *c = &e->code[f->sec];
        uint32_t next = load_first_reloc(c, f->start), at = l->place[l->order[i]];

        for (uint32_t j = 0; j < f->n && !err; j++) {
            uint32_t slot = f->start + j;
            struct skep_insn *insn = &l->insns[at + j];
            const struct load_reloc *r = next < c->n_relocs && c->relocs[next].insn == slot ? &c->relocs[next++] : NULL;

            if (c->poison && c->poison[slot].reason)
                err = add_poison(l, at + j, c->poison[slot].kind, c->poison[slot].reason);
            else if (r)
                err = put_reloc(l, f, r, at + j);
            else if (insn->code == CALL && insn->src_reg == SRC_PLAIN)
                err = put_helper(l, f, slot, at + j, &said);
            else if (insn->code == CALL && insn->src_reg == SRC_KFUNC)
                err = log_fail(l->log, -EINVAL, SLOT_FMT ": a kernel function's call without a relocation",
                               section_of(l, f), slot);
            else if (is_wide(insn))
                err = check_wide(l, f, slot, insn);
            j += is_wide(insn);
            /* A relocation inside of a two-slot load was refused or never matches; step over it. */
            while (next < c->n_relocs && c->relocs[next].insn <= f->start + j)
                next++;
        }
    }
    return err;
}

static const struct btf_ext_section *ext_of(const struct linker *l, const struct load_func *f)
{
    return l->obj->elf->code[f->sec].ext;
}

/* The FUNC of a function: as .BTF.ext says, else by name. */
static uint32_t func_type(const struct linker *l, const struct load_func *f)
{
    const struct btf_ext_section *x = ext_of(l, f);
    uint32_t low = 0, high = x ? x->n_funcs : 0;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (x->funcs[mid].off / 8 < f->start)
            low = mid + 1;
        else
            high = mid;
    }
    if (x && low < x->n_funcs && x->funcs[low].off / 8 == f->start)
        return x->funcs[low].type_id;
    return l->obj->btf ? btf_find(l->obj->btf, f->name, BTF_FUNC) : 0;
}

static uint32_t first_line(const struct btf_ext_section *x, uint32_t off)
{
    uint32_t low = 0, high = x->n_lines;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (x->lines[mid].off < off)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int collect_lines(struct linker *l, struct arena *scratch, struct prog_line **out, uint32_t *n)
{
    const struct object_elf *e = l->obj->elf;
    size_t cap = 0;

    for (uint32_t i = 0; i < l->n_order; i++) {
        const struct load_func *f = &e->funcs[l->order[i]];
        const struct btf_ext_section *x = ext_of(l, f);

        if (x)
            cap += first_line(x, (f->start + f->n) * 8) - first_line(x, f->start * 8);
    }
    l->total_maps += l->obj->n_maps;
    if (l->total_maps > LOAD_MAX_MAP_REFS)
        return log_fail(l->log, -E2BIG, "programs times maps exceed %d", LOAD_MAX_MAP_REFS);
    l->total_lines += cap;
    if (l->total_lines > LOAD_MAX_INSNS)
        return log_fail(l->log, -E2BIG, "all programs together have more than %d line records", LOAD_MAX_INSNS);
    *n = 0;
    *out = ARENA_ARRAY(scratch, struct prog_line, cap);
    if (!*out)
        return no_memory(l);
    for (uint32_t i = 0; i < l->n_order; i++) {
        const struct load_func *f = &e->funcs[l->order[i]];
        const struct btf_ext_section *x = ext_of(l, f);

        for (uint32_t j = x ? first_line(x, f->start * 8) : 0; x && j < x->n_lines; j++) {
            const struct btf_ext_line *line = &x->lines[j];

            if (line->off / 8 >= f->start + f->n)
                break;
            (*out)[(*n)++] = (struct prog_line){.insn = line->off / 8 - f->start + l->place[l->order[i]],
                                                .file = line->file,
                                                .text = line->text,
                                                .line = line->line,
                                                .col = line->col};
        }
    }
    return 0;
}

static int make_prog(struct linker *l, struct object_prog *p, const struct prog_type *type)
{
    struct object *obj = l->obj;
    const struct object_elf *e = obj->elf;
    struct arena scratch = {.limit = obj->arena.limit};
    const struct map_def **maps = ARENA_ARRAY(&scratch, const struct map_def *, obj->n_maps);
    struct prog_func *funcs = ARENA_ARRAY(&scratch, struct prog_func, l->n_order);
    const char *target = p->target;
    struct prog_line *lines = NULL;
    uint32_t n_lines = 0, catcher = 0;
    char where[512];
    struct log in = LOG_AT(l->log, where);
    int err = maps && funcs ? collect_lines(l, &scratch, &lines, &n_lines) : no_memory(l);

    for (uint32_t i = 0; !err && i < obj->n_maps; i++)
        maps[i] = &obj->maps[i].def;
    for (uint32_t i = 0; !err && i < l->n_order; i++) {
        const struct load_func *f = &e->funcs[l->order[i]];
        uint32_t start = l->place[l->order[i]];

        if (l->order[i] == l->catcher)
            catcher = i;
        funcs[i] = (struct prog_func){
            .name = f->name, .start = start, .end = start + f->n, .btf_id = func_type(l, f), .global = f->global};
    }
    if (!err && type->id == PROG_TYPE_STRUCT_OPS && !(target = load_method_of(obj, p, &scratch)))
        err = no_memory(l);
    if (!err) {
        struct prog_spec spec = {
            .name = p->name,
            .section = p->section,
            .file = obj->path,
            .license = obj->license,
            .attach_target = target,
            .type = type,
            .attach_type = p->attach_type,
            .sleepable = p->sec && p->sec->sleepable,
            .insns = l->insns,
            .n_insns = l->n_insns,
            .funcs = funcs,
            .n_funcs = l->n_order,
            .exception_cb = catcher,
            .lines = lines,
            .n_lines = n_lines,
            .maps = maps,
            .n_maps = obj->n_maps,
            .poison = l->poison,
            .poison_at = l->poison_at,
            .n_poison = l->n_poison,
            .externs = l->externs,
            .n_externs = l->n_externs,
            .ksyms = l->ksyms,
            .n_ksyms = l->n_ksyms,
            .btf = obj->btf,
            .fields = e->btf ? e->btf->fields : NULL,
            .btf_owner = e->btf ? load_btf_get(e->btf) : NULL,
            .put_btf = load_btf_put,
            .kernel_btf = e->kernel ? e->kernel->btf : NULL,
            .kernel_owner = e->kernel ? load_btf_get(e->kernel) : NULL,
            .helpers = l->opts->helpers,
        };

        snprintf(where, sizeof(where), "%s: section '%s', program '%s'", obj->path, p->section, p->name);
        err = prog_new(&spec, l->opts->lenient, &in, &p->prog);
        if (err) {
            load_btf_put(e->btf);
            load_btf_put(e->kernel);
        }
    }
    arena_free(&scratch);
    return err;
}

static int link_prog(struct linker *l, struct object_prog *p, uint32_t entry)
{
    const struct object_elf *e = l->obj->elf;
    const struct prog_type *type = prog_type_find(p->type);
    int err;

    if (!p->type || !type) {
        log_warn(l->log, "program '%s': section '%s' does not say its type, so it is not loaded; give it a type",
                 p->name, p->section);
        return 0;
    }
    l->n_order = l->n_insns = l->n_poison = l->n_externs = l->n_ksyms = 0;
    for (uint32_t i = 0; i < e->n_externs; i++)
        l->extern_idx[i] = -1;
    err = load_catcher(l->obj, entry, l->log, &l->catcher);
    if (!err)
        err = lay_out(l, entry);
    if (!err && l->catcher != LOAD_NO_FUNC && l->place[l->catcher] == NOT_PLACED)
        err = lay_out(l, l->catcher);
    if (!err)
        err = relocate(l);
    if (!err) {
        l->total += l->n_insns;
        if (l->total > LOAD_MAX_INSNS)
            err = log_fail(l->log, -E2BIG, "program '%s': all programs together exceed %d instructions", p->name,
                           LOAD_MAX_INSNS);
    }
    if (!err)
        err = make_prog(l, p, type);
    if (!err)
        p->n_insns = l->n_insns;
    for (uint32_t i = 0; i < l->n_order; i++)
        l->place[l->order[i]] = NOT_PLACED;
    return err;
}

static int prepare(struct linker *l)
{
    const struct object_elf *e = l->obj->elf;

    l->stack = ARENA_ARRAY(l->tmp, struct frame, e->n_funcs + 1);
    l->place = ARENA_ARRAY(l->tmp, uint32_t, e->n_funcs);
    l->order = ARENA_ARRAY(l->tmp, uint32_t, e->n_funcs);
    l->externs = ARENA_ARRAY(l->tmp, struct prog_extern, e->n_externs);
    l->extern_idx = ARENA_ARRAY(l->tmp, int32_t, e->n_externs);
    if (!l->stack || !l->place || !l->order || !l->externs || !l->extern_idx)
        return no_memory(l);
    for (uint32_t i = 0; i < e->n_funcs; i++)
        l->place[i] = NOT_PLACED;
    return 0;
}

static int link_all(struct linker *l)
{
    struct object *obj = l->obj;
    struct object_elf *e = obj->elf;
    const struct btf *kernel = NULL;
    int err = prepare(l);

    if (!err)
        err = load_check_kconfig(obj, l->log);
    for (uint32_t i = 0; i < e->n_funcs && !err; i++)
        if (e->funcs[i].prog >= 0 && obj->progs[e->funcs[i].prog].autoload) {
            err = load_catcher(obj, i, l->log, &l->catcher);
            if (!err)
                err = mark(l, i);
            if (!err && l->catcher != LOAD_NO_FUNC)
                err = mark(l, l->catcher);
        }
    if (!err)
        err = copy_code(l);
    if (!err)
        err = load_core(obj, l->tmp, l->opts, l->log);
    if (!err && load_wants_kernel_types(obj))
        err = load_kernel_types(obj, l->opts, l->log, &kernel);
    if (!err)
        err = load_resolve_ksyms(obj, kernel, l->opts, l->log);
    if (!err)
        load_resolve_kfuncs(obj, kernel);
    if (!err)
        load_show_externs(obj);
    for (uint32_t i = 0; i < e->n_funcs && !err; i++)
        if (e->funcs[i].prog >= 0 && obj->progs[e->funcs[i].prog].autoload)
            err = link_prog(l, &obj->progs[e->funcs[i].prog], i);
    return err;
}

int object_link(struct object *obj, const struct object_link_opts *opts, const struct log *log)
{
    static const struct object_link_opts none;
    struct arena tmp = {.limit = obj->arena.limit};
    struct log in = LOG_AT(log, obj->path);
    struct linker l = {.obj = obj, .opts = opts ? opts : &none, .log = &in, .tmp = &tmp};
    struct object_elf *e = obj->elf;
    int err;

    if (e->linked)
        return log_fail(&in, -EINVAL, "linked already");
    e->linked = true;
    err = link_all(&l);
    for (uint32_t i = 0; err && i < obj->n_progs; i++) {
        if (obj->progs[i].prog)
            prog_put(obj->progs[i].prog);
        obj->progs[i].prog = NULL;
    }
    for (uint32_t s = 0; s < e->elf.n_sections; s++) {
        e->code[s].insns = NULL;
        e->code[s].poison = NULL;
    }
    free(l.insns);
    free(l.poison);
    free(l.ksyms);
    free(l.poison_at);
    arena_free(&tmp);
    return err;
}
