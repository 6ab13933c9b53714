/*
 * Externs are the undefined symbols of the object; BTF says what each one is, by the DATASEC that lists it: .kconfig (a
 * value of the kernel's configuration, laid out in a map of its own) or .ksyms (a kernel variable's address, or a
 * kernel function). The table is sorted by ELF symbol, so that a relocation finds its extern by bisection.
 */
#include "loader/load.h"
#include "vm/abi/kfuncs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VAR_EXTERN  2 /* BTF_VAR_GLOBAL_EXTERN */
#define FUNC_EXTERN 2 /* BTF_FUNC_EXTERN */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct load_extern *)a)->name, ((const struct load_extern *)b)->name);
}

static int by_symbol(const void *a, const void *b)
{
    const struct load_extern *x = a, *y = b;

    return x->sym < y->sym ? -1 : x->sym > y->sym;
}

static bool is_extern(const struct elf_symbol *sym)
{
    return sym->shndx == SHN_UNDEF && (sym->bind == STB_GLOBAL || sym->bind == STB_WEAK) && sym->type == STT_NOTYPE &&
           *sym->name;
}

/* "name___flavor" asks for `name`. */
static const char *without_flavor(struct arena *arena, const char *name)
{
    const char *flavor = strstr(name, "___");

    return flavor && flavor != name ? arena_strndup(arena, name, (size_t)(flavor - name)) : name;
}

static enum load_kconfig_type kconfig_type(const struct btf *btf, uint32_t id, bool *is_signed)
{
    const struct btf_type *t;
    uint32_t enc;

    id = btf_resolve(btf, id);
    t = btf_type_at(btf, id);
    *is_signed = false;
    switch (btf_kind(t)) {
    case BTF_INT:
        enc = btf_int_info(t) >> 24;
        if (enc & 4) /* BTF_INT_BOOL */
            return t->size == 1 ? KCONFIG_BOOL : KCONFIG_UNKNOWN;
        *is_signed = enc & 1;
        if (t->size == 1)
            return KCONFIG_CHAR;
        return t->size == 2 || t->size == 4 || t->size == 8 ? KCONFIG_INT : KCONFIG_UNKNOWN;
    case BTF_ENUM:
        return t->size == 4 && !strcmp(btf_name(btf, id), "libbpf_tristate") ? KCONFIG_TRISTATE : KCONFIG_UNKNOWN;
    case BTF_ARRAY: {
        const struct btf_array *a = btf_array_of(t);
        bool any;

        return a->nelems && kconfig_type(btf, a->type, &any) == KCONFIG_CHAR ? KCONFIG_STRING : KCONFIG_UNKNOWN;
    }
    default: return KCONFIG_UNKNOWN;
    }
}

static int describe_kconfig(const struct object *obj, struct load_extern *x, const struct btf_type *t,
                            const struct log *log)
{
    int64_t size, align;

    if (btf_kind(t) == BTF_FUNC)
        return log_fail(log, -ENOTSUP, "extern function '%s' stands in .kconfig, which holds variables", x->name);
    size = btf_size(obj->btf, t->type);
    align = btf_align(obj->btf, t->type);
    x->type =
        size > 0 && size <= LOAD_MAX_EXTERN_DATA ? kconfig_type(obj->btf, t->type, &x->is_signed) : KCONFIG_UNKNOWN;
    if (x->type == KCONFIG_UNKNOWN || align <= 0 || align > 8)
        return log_fail(
            log, -ENOTSUP,
            "extern '%s' (.kconfig): its type must be bool, char, an integer, enum libbpf_tristate or char[]", x->name);
    x->kind = EXTERN_KCONFIG;
    x->size = (uint32_t)size;
    x->align = (uint32_t)align;
    return 0;
}

/* One entry of .kconfig or .ksyms in the BTF, told to the extern of that name. */
static int describe(struct object *obj, uint32_t id, bool kconfig, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct btf_type *t = btf_type_at(obj->btf, id);
    struct load_extern key = {.name = btf_name(obj->btf, id)}, *x;
    bool is_func = btf_kind(t) == BTF_FUNC;

    if (is_func ? btf_vlen(t) != FUNC_EXTERN : btf_kind(t) != BTF_VAR || *(const uint32_t *)(t + 1) != VAR_EXTERN)
        return 0;
    x = bsearch(&key, e->externs, e->n_externs, sizeof(*x), by_name);
    if (!x || x->btf_id)
        return 0;
    x->btf_id = id;
    if (kconfig)
        return describe_kconfig(obj, x, t, log);
    x->kind = is_func ? EXTERN_KSYM_FUNC : EXTERN_KSYM_VAR;
    return 0;
}

static int describe_all(struct object *obj, const char *datasec, bool kconfig, const struct log *log)
{
    for (uint32_t id = btf_find(obj->btf, datasec, BTF_DATASEC); id; id = btf_find_next(obj->btf, id)) {
        const struct btf_type *t = btf_type_at(obj->btf, id);

        if (btf_kind(t) != BTF_DATASEC)
            continue;
        for (uint32_t i = 0; i < btf_vlen(t); i++) {
            int err = describe(obj, btf_secinfos(t)[i].type, kconfig, log);

            if (err)
                return err;
        }
    }
    return 0;
}

static int check_described(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;

    for (uint32_t i = 0; i < e->n_externs; i++) {
        struct load_extern *x = &e->externs[i];

        if (!x->btf_id && !obj->btf)
            return log_fail(log, -EINVAL, "extern '%s': the object has no BTF to say what it is; compile with -g",
                            x->name);
        if (!x->btf_id)
            return log_fail(log, -EINVAL,
                            "extern '%s' is defined nowhere; link the object that defines it (bpftool gen object), or "
                            "declare it with __ksym or __kconfig",
                            x->name);
        if (x->kind == EXTERN_KCONFIG)
            continue;
        x->name = without_flavor(&obj->arena, x->name);
        if (!x->name)
            return log_fail(log, -ENOMEM, "no memory for the name of an extern");
    }
    return 0;
}

/* libbpf's order in the .kconfig map: by alignment from large to small, then by size, then by name. */
static int by_layout(const void *a, const void *b)
{
    const struct load_extern *x = *(const struct load_extern *const *)a, *y = *(const struct load_extern *const *)b;

    if (x->align != y->align)
        return x->align > y->align ? -1 : 1;
    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int lay_out_kconfig(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    struct load_extern **order = ARENA_ARRAY(&obj->arena, struct load_extern *, e->n_externs);
    uint64_t off = 0;
    uint32_t n = 0;

    if (!order)
        return log_fail(log, -ENOMEM, "no memory for %u externs", e->n_externs);
    for (uint32_t i = 0; i < e->n_externs; i++)
        if (e->externs[i].kind == EXTERN_KCONFIG)
            order[n++] = &e->externs[i];
    if (!n)
        return 0;
    qsort(order, n, sizeof(struct load_extern *), by_layout);
    for (uint32_t i = 0; i < n; i++) {
        off = (off + order[i]->align - 1) & ~(uint64_t)(order[i]->align - 1);
        order[i]->off = (uint32_t)off;
        off += order[i]->size;
        if (off > LOAD_MAX_EXTERN_DATA)
            return log_fail(log, -E2BIG, "section '.kconfig': more than %d bytes of externs", LOAD_MAX_EXTERN_DATA);
    }
    obj->kconfig = ARENA_ARRAY(&obj->arena, struct object_kconfig, n);
    if (!obj->kconfig)
        return log_fail(log, -ENOMEM, "no memory for %u externs", n);
    obj->n_kconfig = n;
    for (uint32_t i = 0; i < n; i++)
        obj->kconfig[i] = (struct object_kconfig){.name = order[i]->name, .weak = order[i]->weak};
    e->kconfig_size = (uint32_t)off;
    e->kconfig_order = order;
    return 0;
}

int load_externs(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t n = 0;
    int err;

    for (uint32_t i = 0; i < e->elf.n_symbols; i++)
        n += is_extern(&e->elf.symbols[i]);
    if (!n)
        return 0;
    e->externs = ARENA_ARRAY(&obj->arena, struct load_extern, n);
    if (!e->externs)
        return log_fail(log, -ENOMEM, "no memory for %u externs", n);
    for (uint32_t i = 0; i < e->elf.n_symbols; i++) {
        const struct elf_symbol *sym = &e->elf.symbols[i];

        if (is_extern(sym))
            e->externs[e->n_externs++] =
                (struct load_extern){.name = sym->name, .sym = i, .weak = sym->bind == STB_WEAK};
    }
    qsort(e->externs, n, sizeof(*e->externs), by_name);
    for (uint32_t i = 1; i < n; i++)
        if (!strcmp(e->externs[i - 1].name, e->externs[i].name))
            return log_fail(log, -EINVAL, "extern '%s': two symbols of this name", e->externs[i].name);
    err = obj->btf ? describe_all(obj, ".kconfig", true, log) : 0;
    if (!err && obj->btf)
        err = describe_all(obj, ".ksyms", false, log);
    if (!err)
        err = check_described(obj, log);
    if (err)
        return err;
    qsort(e->externs, n, sizeof(*e->externs), by_symbol);
    return lay_out_kconfig(obj, log);
}

int32_t load_extern_of(const struct object_elf *e, uint32_t sym)
{
    struct load_extern key = {.sym = sym};
    const struct load_extern *x;

    x = e->n_externs ? bsearch(&key, e->externs, e->n_externs, sizeof(key), by_symbol) : NULL;
    return x ? (int32_t)(x - e->externs) : -1;
}

/* Is this kernel variable wanted by a function that is to be loaded? */
static void mark_wanted(struct object *obj, struct load_extern **wanted, uint32_t *n)
{
    struct object_elf *e = obj->elf;

    for (uint32_t i = 0; i < e->n_funcs; i++) {
        const struct load_func *f = &e->funcs[i];
        const struct load_code *c = &e->code[f->sec];

        if (!f->used)
            continue;
        for (uint32_t j = load_first_reloc(c, f->start); j < c->n_relocs && c->relocs[j].insn < f->start + f->n; j++) {
            struct load_extern *x = &e->externs[c->relocs[j].index];

            if (c->relocs[j].kind != RELOC_EXTERN_ADDR || x->kind != EXTERN_KSYM_VAR || x->wanted)
                continue;
            x->wanted = true;
            wanted[(*n)++] = x;
        }
    }
}

static int by_wanted_name(const void *a, const void *b)
{
    return strcmp((*(const struct load_extern *const *)a)->name, (*(const struct load_extern *const *)b)->name);
}

static int name_to_wanted(const void *name, const void *x)
{
    return strcmp(name, (*(const struct load_extern *const *)x)->name);
}

/* Where variables stand whose address nobody tells: in the kernel's half, and nothing else does. */
#define UNTOLD  0xffffffe000000000ull
#define SPACING (1ull << 24)

/* "ffffffff81000000 T _stext [module]" a line; addresses are all 0 for who may not see them. */
static void read_kallsyms(struct load_extern **wanted, uint32_t n, const struct log *log)
{
    FILE *f = fopen("/proc/kallsyms", "re");
    char line[1024], name[512];
    uint32_t left = n;

    if (!f) {
        log_debug(log, "/proc/kallsyms: %s", strerror(errno));
        return;
    }
    while (left && fgets(line, sizeof(line), f)) {
        unsigned long long addr;
        struct load_extern **x;
        char type;

        if (sscanf(line, "%llx %c %511s", &addr, &type, name) != 3 || !addr)
            continue;
        x = bsearch(name, wanted, n, sizeof(struct load_extern *), name_to_wanted);
        if (!x || (*x)->found)
            continue;
        (*x)->addr = addr;
        (*x)->found = (*x)->here = true;
        left--;
    }
    fclose(f);
}

/*
 * Variables that are declared with a type are the target's by its types, as in libbpf: their address may not be told,
 * and one that the types do not name is not there, whatever kallsyms says. Those of type void are addresses alone.
 */
static void find_types(struct object *obj, const struct btf *kernel, struct load_extern **wanted, uint32_t n)
{
    for (uint32_t i = 0; kernel && i < n; i++) {
        uint32_t type = btf_resolve(obj->btf, btf_type_at(obj->btf, wanted[i]->btf_id)->type);

        if (type)
            wanted[i]->kernel_id = btf_find(kernel, wanted[i]->name, BTF_VAR);
        if (wanted[i]->kernel_id && !wanted[i]->found) {
            wanted[i]->found = true;
            wanted[i]->addr = UNTOLD + (uint64_t)i * SPACING;
        } else if (type && !wanted[i]->kernel_id && wanted[i]->here) {
            wanted[i]->found = false;
            wanted[i]->addr = 0;
        }
    }
}

int load_resolve_ksyms(struct object *obj, const struct btf *kernel, const struct object_link_opts *opts,
                       const struct log *log)
{
    struct object_elf *e = obj->elf;
    struct load_extern **wanted;
    uint32_t n = 0;

    if (!e->n_externs)
        return 0;
    wanted = calloc(e->n_externs, sizeof(struct load_extern *));
    if (!wanted)
        return log_fail(log, -ENOMEM, "no memory for %u externs", e->n_externs);
    mark_wanted(obj, wanted, &n);
    if (opts->ksym) {
        for (uint32_t i = 0; i < n; i++)
            wanted[i]->addr = opts->ksym(opts->ksym_ctx, wanted[i]->name, &wanted[i]->found);
    }
    if (n && (!opts->ksym || opts->ksym_also_here)) {
        qsort(wanted, n, sizeof(struct load_extern *), by_wanted_name);
        read_kallsyms(wanted, n, log);
    }
    find_types(obj, kernel, wanted, n);
    free(wanted);
    return 0;
}

/* The address of a function is asked for to see whether it is there; nothing is ever found at it. */
void load_resolve_kfuncs(struct object *obj, const struct btf *kernel)
{
    struct object_elf *e = obj->elf;

    for (uint32_t i = 0; i < e->n_externs; i++) {
        struct load_extern *x = &e->externs[i];

        if (x->kind != EXTERN_KSYM_FUNC || (kernel && !btf_find(kernel, x->name, BTF_FUNC)))
            continue;
        x->kfunc = kfunc_find(x->name);
        x->found = x->kfunc && x->kfunc->call.body;
        x->addr = x->found ? (uintptr_t)x->kfunc : 0;
    }
}

void load_show_externs(struct object *obj)
{
    struct object_elf *e = obj->elf;

    for (uint32_t s = 0; s < e->elf.n_sections; s++)
        for (uint32_t i = 0; i < e->code[s].n_relocs; i++) {
            const struct load_reloc *r = &e->code[s].relocs[i];
            struct object_reloc *shown = &obj->relocs[e->code[s].first_shown + i];

            if (r->kind != RELOC_EXTERN_ADDR)
                continue;
            shown->resolved = e->externs[r->index].found;
            shown->value = e->externs[r->index].addr;
        }
}
