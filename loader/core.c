/*
 * CO-RE for a whole object. Target types are read only when a function that is to be loaded needs them, for the
 * kernel's are megabytes: a program without such relocations starts without them. What the target cannot satisfy
 * becomes poison with a warning, since code that is dead on this kernel is full of it.
 */
#include "loader/load.h"

#include <errno.h>
#include <string.h>

/* Does the relocation stand in a function that is to be loaded? A linker leaves records of weak functions that lost. */
static const struct load_func *wanted(const struct object_elf *e, uint32_t sec, const struct core_relo *relo)
{
    const struct load_func *f;

    if (relo->off >= e->elf.sections[sec].size)
        return NULL;
    f = load_func_with(e, sec, relo->off / 8);
    return f && f->used ? f : NULL;
}

static bool any_wanted(const struct object_elf *e)
{
    for (uint32_t s = 0; e->ext && s < e->ext->n_sections; s++) {
        const struct btf_ext_section *x = &e->ext->sections[s];
        const struct elf_section *sec = elf_section_by_name(&e->elf, x->name);

        for (uint32_t i = 0; sec && i < x->n_relos; i++)
            if (wanted(e, (uint32_t)(sec - e->elf.sections), &x->relos[i]))
                return true;
    }
    return false;
}

int load_poison(struct object_elf *e, struct arena *tmp, uint32_t sec, uint32_t slot, enum trap_kind kind,
                const char *reason)
{
    struct load_code *c = &e->code[sec];

    if (!c->poison)
        c->poison = ARENA_ARRAY(tmp, struct prog_poison, e->elf.sections[sec].size / 8);
    if (!c->poison || !reason)
        return -ENOMEM;
    if (!c->poison[slot].reason)
        c->poison[slot] = (struct prog_poison){.kind = kind, .reason = reason};
    return 0;
}

static int apply(struct object *obj, struct core_ctx *ctx, struct arena *tmp, uint32_t sec,
                 const struct core_relo *relo, struct object_reloc *shown, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct load_func *f = wanted(e, sec, relo);
    const char *name = e->elf.sections[sec].name;
    struct core_result res = {.spec = "", .target = "", .reason = ""};
    uint32_t n = (uint32_t)(e->elf.sections[sec].size / 8), slot = relo->off / 8;
    int err;

    if (!f)
        return 0;
    if (!e->code[sec].insns)
        return log_fail(log, -EINVAL, SLOT_FMT ": a CO-RE relocation outside of code", name, slot);
    err = core_relocate(ctx, relo, e->code[sec].insns, n, slot, log, &res);
    if (err)
        return err;
    shown->symbol = arena_strdup(&obj->arena, res.spec);
    shown->resolved = res.resolved;
    shown->value = res.value;
    if (!shown->symbol)
        return log_fail(log, -ENOMEM, SLOT_FMT ": no memory", name, slot);
    if (res.resolved) {
        log_debug(log, SLOT_FMT ": %s %s is %llu", name, slot, core_kind_name(relo->kind), res.spec,
                  (unsigned long long)res.value);
        return 0;
    }
    log_warn(log, SLOT_FMT " ('%s'): %s of %s: %s; reaching it traps", name, slot, f->name, core_kind_name(relo->kind),
             res.spec, res.reason);
    err = load_poison(e, tmp, sec, slot, TRAP_core_unresolved,
                      arena_printf(tmp, "%s of %s: %s", core_kind_name(relo->kind), res.spec, res.reason));
    return err ? log_fail(log, err, SLOT_FMT ": no memory", name, slot) : 0;
}

int load_core(struct object *obj, struct arena *tmp, const struct object_link_opts *opts, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct btf *target;
    struct core_ctx *ctx = NULL;
    uint32_t shown = e->core_first;
    int err;

    if (!any_wanted(e))
        return 0;
    err = load_kernel_types(obj, opts, log, &target);
    if (err)
        return err;
    if (!target) {
        log_info(log, "the running kernel's types are not readable; CO-RE relocations follow the object's own types");
        target = obj->btf;
    }
    ctx = core_new(tmp, obj->btf, target);
    if (!ctx)
        err = log_fail(log, -ENOMEM, "no memory for CO-RE relocations");
    for (uint32_t s = 0; !err && s < e->ext->n_sections; s++) {
        const struct btf_ext_section *x = &e->ext->sections[s];
        const struct elf_section *sec = elf_section_by_name(&e->elf, x->name);

        for (uint32_t i = 0; i < x->n_relos && !err; i++, shown++)
            if (sec)
                err = apply(obj, ctx, tmp, (uint32_t)(sec - e->elf.sections), &x->relos[i], &obj->relocs[shown], log);
    }
    core_free(ctx);
    return err;
}
