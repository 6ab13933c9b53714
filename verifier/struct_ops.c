/*
 * Methods of structs of operations: what they are called with follows from the function pointer that is the member, as
 * the target's types have it, and from the function that stands in for it in the kernel, whose parameters' names say
 * what may be NULL (`__nullable`) and what the program owns (`__ref`). A method without one trusts its types.
 */
#include "vm/abi/struct_ops.h"
#include "verifier/verifier.h"
#include "vm/btf/btf.h"
#include "vm/btf/show.h"

#include <stdio.h>
#include <string.h>

static const struct btf_type *function_of(const struct btf *btf, const struct btf_member *m)
{
    const struct btf_type *t = btf_type_at(btf, btf_resolve(btf, m->type));

    if (btf_kind(t) != BTF_PTR)
        return NULL;
    t = btf_type_at(btf, btf_resolve(btf, t->type));
    return btf_kind(t) == BTF_FUNC_PROTO ? t : NULL;
}

/* What the kernel has in the member's place as long as nobody fills it; NULL: nothing that is named so. */
static const struct btf_type *stub_of(const struct btf *btf, const char *ops, const char *member)
{
    char name[256];
    uint32_t id;

    snprintf(name, sizeof(name), "%s__%s", ops, member);
    id = btf_find(btf, name, BTF_FUNC);
    return id ? btf_type_at(btf, btf_type_at(btf, id)->type) : NULL;
}

static enum reason find_member(struct verifier *v, const struct btf *btf)
{
    const char *ops = v->hook.ops, *method = v->hook.method;
    char value[128];
    const struct btf_type *t;
    uint32_t id;

    snprintf(value, sizeof(value), "bpf_struct_ops_%s", ops);
    id = btf_find(btf, ops, BTF_STRUCT);
    if (!id || !btf_find(btf, value, BTF_STRUCT)) {
        snprintf(v->missing_name, sizeof(v->missing_name), "a target without struct_ops '%.32s'", ops);
        return unsupported(v, v->missing_name);
    }
    t = btf_type_at(btf, id);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        if (strcmp(btf_str(btf, btf_members(t)[i].name_off), method))
            continue;
        v->hook.proto = function_of(btf, &btf_members(t)[i]);
        if (!v->hook.proto || !struct_ops_has(ops, method))
            return refuse(v, REASON_hook, "member '%s' of struct %s is none that programs can be", method, ops);
        v->hook.stub = stub_of(btf, ops, method);
        return REASON_ok;
    }
    return refuse(v, REASON_hook, "struct %s of the target has no member '%s'", ops, method);
}

enum reason struct_ops_begin(struct verifier *v)
{
    const struct prog *prog = v->prog;
    enum reason reason;

    if (!is_gpl_compatible(prog->license))
        return refuse(v, REASON_helper_gpl, "methods of struct_ops have a GPL-compatible license");
    if (!prog->kernel_btf)
        return unsupported(v, "arguments by their types, without the target's types");
    if (sscanf(prog->attach_target, "%63[^.].%63s", v->hook.ops, v->hook.method) != 2)
        return unsupported(v, "a method that stands in no struct of the object");
    reason = find_member(v, prog->kernel_btf);
    if (!reason && prog->sleepable && !struct_ops_sleeps(v->hook.ops, v->hook.method))
        reason = refuse(v, REASON_hook, "method '%s' of struct %s may not sleep", v->hook.method, v->hook.ops);
    return reason;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);

    return n >= k && !strcmp(name + n - k, suffix);
}

bool struct_ops_arg(const struct verifier *v, unsigned index, const char *suffix)
{
    const struct btf *btf = v->prog->kernel_btf;
    const struct btf_type *stub = v->hook.stub;

    return stub && index < btf_vlen(stub) && ends_in(btf_str(btf, btf_params(stub)[index].name_off), suffix);
}

/* Is this store within what the row lets methods write? */
static bool fits(const struct btf *btf, const struct struct_ops_store *row, int64_t off, uint32_t size)
{
    uint32_t id = btf_find(btf, row->type, BTF_STRUCT);
    struct btf_place at;

    if (row->how == STRUCT_OPS_WALKED)
        return true;
    if (!btf_find_place(btf, id, row->part, &at) || at.bits)
        return false;
    if (row->how == STRUCT_OPS_MEMBER ? off != (int64_t)at.off : off < (int64_t)at.off)
        return false;
    return off + size <= (int64_t)(at.off + at.size);
}

enum reason struct_ops_store(struct verifier *v, const struct reg *base, int64_t off, uint32_t size)
{
    const struct prog *prog = v->prog;
    const char *type = btf_name(base->btf, base->size);
    const struct struct_ops_store *rows;
    size_t n = struct_ops_stores(&rows);

    for (size_t i = 0; prog->type->id == PROG_TYPE_STRUCT_OPS && base->btf == prog->kernel_btf && i < n; i++)
        if (!strcmp(rows[i].ops, v->hook.ops) && !strcmp(rows[i].type, type) && fits(base->btf, &rows[i], off, size)) {
            v->wants_checks = true;
            return REASON_ok;
        }
    if (prog->type->id == PROG_TYPE_STRUCT_OPS)
        return refuse(v, REASON_read_only_memory,
                      "methods of struct %s do not write %u bytes at offset %lld of struct %s", v->hook.ops, size,
                      (long long)off, type);
    return refuse(v, REASON_read_only_memory, "kernel objects are read-only");
}

bool struct_ops_hold(struct verifier *v, struct state *s)
{
    for (unsigned i = 0; v->hook.stub && i < btf_vlen(v->hook.stub) && i < MAX_HOOK_ARGS; i++)
        if (struct_ops_arg(v, i, "__ref")) {
            v->hook.owned[i] = ++v->next_id;
            if (!state_hold(&v->pool, s, v->hook.owned[i], REF_OBJECT))
                return false;
        }
    return true;
}

bool struct_ops_gives(const struct verifier *v, const struct reg *r0)
{
    const struct btf *btf = v->prog->kernel_btf;
    const struct btf_type *t;

    if (!v->prog->type || v->prog->type->id != PROG_TYPE_STRUCT_OPS || !v->hook.proto || r0->kind != REG_BTF ||
        !r0->ref || r0->flags & REG_MAYBE_NULL || r0->off || !scalar_is_const(&r0->s) || r0->s.t.value)
        return false;
    t = btf_type_at(btf, btf_resolve(btf, v->hook.proto->type));
    return btf_kind(t) == BTF_PTR && r0->btf == btf && btf_resolve(btf, t->type) == btf_resolve(btf, r0->size);
}
