/*
 * The target's types: what CO-RE relocations are resolved against, and what kernel objects are that programs name. They
 * are megabytes, so that they are read when the first asks for them, once an object; programs that name kernel objects
 * hold them from then on.
 */
#include "loader/btf_file.h"
#include "loader/load.h"
#include "vm/abi/kfuncs.h"

#include <errno.h>
#include <stdlib.h>

static struct load_btf *hold(struct btf *btf, bool borrowed)
{
    struct load_btf *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    b->refs = 1;
    b->btf = btf;
    b->borrowed = borrowed;
    return b;
}

int load_kernel_types(struct object *obj, const struct object_link_opts *opts, const struct log *log,
                      const struct btf **out)
{
    struct object_elf *e = obj->elf;
    struct log quiet = LOG_AT(log, log ? log->where : NULL);
    struct btf *own = NULL;
    int err = 0;

    *out = e->kernel ? e->kernel->btf : NULL;
    if (e->kernel || e->no_kernel)
        return 0;
    quiet.fn = NULL;
    if (!opts->target && opts->btf_path)
        err = btf_load_file(opts->btf_path, NULL, log, &own);
    else if (!opts->target && btf_load_kernel(&quiet, &own))
        e->no_kernel = true;
    if (err || e->no_kernel)
        return err;
    e->kernel = hold(opts->target ? (struct btf *)(uintptr_t)opts->target : own, opts->target);
    if (!e->kernel) {
        btf_free(own);
        return log_fail(log, -ENOMEM, "no memory for the target's types");
    }
    *out = e->kernel->btf;
    return 0;
}

/* Does a helper that is called here take or give kernel objects? */
static bool names_kernel_object(const struct load_code *c, const struct load_func *f)
{
    enum { CALL = 0x85 };

    for (uint32_t i = f->start; c->insns && i < f->start + f->n; i++) {
        const struct helper *h =
            c->insns[i].code == CALL && !c->insns[i].src_reg ? helper_find((uint32_t)c->insns[i].imm) : NULL;

        if (h && helper_names_kernel_object(h))
            return true;
    }
    return false;
}

/* Do programs that are to be loaded name kernel objects: by their arguments, by helpers, by functions and variables,
 * by pointers in maps? */
bool load_wants_kernel_types(const struct object *obj)
{
    const struct object_elf *e = obj->elf;

    for (uint32_t i = 0; i < obj->n_progs; i++) {
        const struct prog_type *type = prog_type_find(obj->progs[i].type);

        if (obj->progs[i].autoload && type && type->traits & PROG_TYPED_ARGS)
            return true;
    }
    for (uint32_t i = 0; i < obj->n_maps; i++) {
        const struct fields *f = obj->maps[i].def.fields;

        if (f && f->kinds & FIELD_KPTRS) /* whether they point to the kernel's types, those say */
            return true;
    }
    for (uint32_t i = 0; i < e->n_externs; i++)
        if (e->externs[i].kind == EXTERN_KSYM_FUNC || e->externs[i].kind == EXTERN_KSYM_VAR)
            return true;
    for (uint32_t i = 0; i < e->n_funcs; i++)
        if (e->funcs[i].used && names_kernel_object(&e->code[e->funcs[i].sec], &e->funcs[i]))
            return true;
    return false;
}
