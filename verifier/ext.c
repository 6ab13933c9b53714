/*
 * Programs that extend others (freplace): each takes the place of one global function of a program, which is named by
 * whoever asks for the verdict (verify_opts.extends). It is verified as a program of its target's type, for whatever
 * arguments its own prototype allows, once that prototype is the target's: same numbers, same pointers to structs.
 */
#include "verifier/verifier.h"
#include "vm/btf/btf.h"

#include <string.h>

/* A function and whose types it is described by. */
struct side {
    const struct btf *btf;
    const char *name;
    const struct btf_type *proto;
};

static bool find(const struct prog *prog, uint32_t func, struct side *out)
{
    const struct prog_func *f = &prog->funcs[func];
    const struct btf_type *t = prog->btf && f->btf_id ? btf_type_at(prog->btf, f->btf_id) : NULL;

    if (!t || btf_kind(t) != BTF_FUNC)
        return false;
    *out = (struct side){.btf = prog->btf, .name = f->name, .proto = btf_type_at(prog->btf, t->type)};
    return btf_kind(out->proto) == BTF_FUNC_PROTO;
}

static const struct btf_type *resolved(const struct btf *btf, uint32_t *id)
{
    *id = btf_resolve(btf, *id);
    return btf_type_at(btf, *id);
}

static enum reason same_argument(struct verifier *v, const struct side *a, const struct side *b, unsigned i)
{
    uint32_t x = btf_params(a->proto)[i].type, y = btf_params(b->proto)[i].type;
    const struct btf_type *s = resolved(a->btf, &x), *t = resolved(b->btf, &y);

    if (s->info != t->info)
        return refuse(v, REASON_hook, "argument %u of %s is of another kind than that of %s", i + 1, a->name, b->name);
    if (btf_kind(s) != BTF_PTR && s->size != t->size)
        return refuse(v, REASON_hook, "argument %u of %s has %u bytes and that of %s has %u", i + 1, a->name, s->size,
                      b->name, t->size);
    if (btf_kind(s) == BTF_INT || btf_kind(s) == BTF_ENUM || btf_kind(s) == BTF_ENUM64)
        return REASON_ok;
    if (btf_kind(s) != BTF_PTR)
        return refuse(v, REASON_hook, "argument %u of %s is neither a number nor a pointer", i + 1, a->name);
    x = s->type;
    y = t->type;
    s = resolved(a->btf, &x);
    t = resolved(b->btf, &y);
    if (btf_kind(s) != BTF_STRUCT || btf_kind(t) != BTF_STRUCT)
        return refuse(v, REASON_hook, "argument %u of %s does not point to a struct", i + 1,
                      btf_kind(s) != BTF_STRUCT ? a->name : b->name);
    if (strcmp(btf_name(a->btf, x), btf_name(b->btf, y)))
        return refuse(v, REASON_hook, "argument %u of %s points to a struct %s and that of %s to a struct %s", i + 1,
                      a->name, btf_name(a->btf, x), b->name, btf_name(b->btf, y));
    return REASON_ok;
}

static enum reason same_prototype(struct verifier *v, const struct side *a, const struct side *b)
{
    uint32_t x = a->proto->type, y = b->proto->type;
    enum reason reason = REASON_ok;

    if (btf_vlen(a->proto) != btf_vlen(b->proto))
        return refuse(v, REASON_hook, "%s has %u arguments and %s has %u", a->name, btf_vlen(a->proto), b->name,
                      btf_vlen(b->proto));
    if (resolved(a->btf, &x)->info != resolved(b->btf, &y)->info)
        return refuse(v, REASON_hook, "%s returns another type than %s", a->name, b->name);
    for (unsigned i = 0; i < btf_vlen(a->proto) && !reason; i++)
        reason = same_argument(v, a, b, i);
    return reason;
}

/* What the target's function does to its callers bounds what stands in its place. */
static enum reason same_effects(struct verifier *v, uint32_t func, const char *name)
{
    struct verifier other = {.prog = v->opts->extends};
    unsigned does, may;

    if (!global_init(&other)) {
        global_free(&other);
        return REASON_out_of_memory;
    }
    may = other.func_effects[func];
    does = v->func_effects[0];
    global_free(&other);
    if (does & EFFECT_CHANGES_PACKET && !(may & EFFECT_CHANGES_PACKET))
        return refuse(v, REASON_hook, "it may move the packet, and '%s' does not", name);
    if (does & EFFECT_SLEEPS && !(may & EFFECT_SLEEPS))
        return refuse(v, REASON_hook, "it may sleep, and '%s' does not", name);
    return REASON_ok;
}

enum reason ext_begin(struct verifier *v)
{
    const struct prog *target = v->opts->extends;
    const char *name = v->opts->extends_func;
    uint32_t func = 0;
    struct side own, theirs;
    enum reason reason;

    if (!target->type || target->type->id == PROG_TYPE_EXT)
        return refuse(v, REASON_hook, "'%s' extends another program itself", target->name);
    if (target->type->id == PROG_TYPE_TRACING &&
        (target->attach_type == ATTACH_TRACE_FENTRY || target->attach_type == ATTACH_TRACE_FEXIT))
        return refuse(v, REASON_hook, "fentry and fexit programs are not extended");
    if (target->type->traits & PROG_TYPED_ARGS)
        return unsupported(v, "extensions of programs whose arguments have types");
    while (func < target->n_funcs && strcmp(target->funcs[func].name, name))
        func++;
    if (func == target->n_funcs)
        return refuse(v, REASON_hook, "program '%s' has no function '%s'", target->name, name);
    if (func && !target->funcs[func].global)
        return refuse(v, REASON_hook, "'%s' is static: only global functions are replaced", name);
    if (!find(v->prog, 0, &own) || !find(target, func, &theirs))
        return refuse(v, REASON_global_prototype, "nothing is known of the types of '%s'", name);
    reason = same_prototype(v, &own, &theirs);
    return reason ? reason : same_effects(v, func, name);
}
