/*
 * What the tables of vm/abi allow a program by its type, attach type and privileges. Each function is a question to a
 * row; nothing here looks at types or helpers by name. A raw program is its host's: it may call what the host offers.
 */
#include "vm/abi/policy.h"
#include "verifier/verifier.h"
#include "vm/abi/hooks.h"
#include "vm/abi/map_types.h"
#include "vm/abi/struct_ops.h"
#include "vm/maps/types.h"

#include <stdio.h>
#include <string.h>

static enum hook_kind hook_of(const struct prog *prog)
{
    if (prog->type->id == PROG_TYPE_LSM)
        return HOOK_LSM;
    if (prog->type->id != PROG_TYPE_TRACING || prog->attach_type == ATTACH_TRACE_RAW_TP)
        return HOOK_OTHER;
    return prog->attach_type == ATTACH_TRACE_ITER ? HOOK_ITERATOR : HOOK_FUNCTION;
}

enum reason policy_may_call(struct verifier *v, uint32_t id)
{
    const struct prog_type *type = v->prog->type;
    const struct helper *h = helper_find(id);

    if (!h)
        return refuse(v, REASON_helper_unknown, "there is no helper %u", id);
    if (type && !hook_may_call(h->name, hook_of(v->prog), v->prog->attach_target))
        return refuse(v, REASON_helper_not_allowed, "programs of type %s may not call bpf_%s at '%s'", type->name,
                      h->name, v->prog->attach_target);
    if (type && type->id == PROG_TYPE_STRUCT_OPS && policy_helper(type, v->prog->attach_type, false, id) &&
        !struct_ops_calls(v->hook.ops, v->hook.method, id))
        return refuse(v, REASON_helper_not_allowed, "method '%s' of struct %s may not call bpf_%s", v->hook.method,
                      v->hook.ops, h->name);
    if (!type || policy_helper(type, v->prog->attach_type, !v->privileged, id))
        return REASON_ok;
    if (type->id == PROG_TYPE_TRACING && v->prog->attach_type == ATTACH_TRACE_ITER &&
        policy_iterator(v->prog->attach_target, id))
        return REASON_ok;
    if (policy_helper(type, v->prog->attach_type, false, id))
        return refuse(v, REASON_helper_not_allowed, "unprivileged programs may not call bpf_%s", h->name);
    return refuse(v, REASON_helper_not_allowed, "programs of type %s may not call bpf_%s", type->name, h->name);
}

enum reason policy_may_take(struct verifier *v, const struct helper *h, const struct map_def *map)
{
    const char *type = map_type_name(map->type);

    if (helper_is_linux(h) && !policy_map_helper(map->type, h->id))
        return refuse(v, REASON_helper_map_type, "bpf_%s does not work on map '%s' of type %s", h->name, map->name,
                      type ? type : "unknown");
    if (!map_type_is_here(map->type)) {
        snprintf(v->missing_name, sizeof(v->missing_name), "maps of type %s", type ? type : "unknown");
        return unsupported(v, v->missing_name);
    }
    if (helper_is_linux(h) && v->prog->type && !policy_map_user(v->prog->type, v->prog->attach_type, map->type, h->id))
        return refuse(v, REASON_helper_map_type, "programs of type %s may not call bpf_%s on map '%s' of type %s",
                      v->prog->type->name, h->name, map->name, type);
    return REASON_ok;
}

/* Of these a program has one: storage that attaching gives it, and the arena that its pointers are in. */
static enum reason one_storage(struct verifier *v, const struct map_def *map, const struct map_def **first)
{
    if (!first)
        return REASON_ok;
    if (*first && *first != map)
        return refuse(v, REASON_helper_map_type, "a program has one map of type %s: '%s' and '%s' are two",
                      map_type_name(map->type), (*first)->name, map->name);
    *first = map;
    return REASON_ok;
}

/* What programs that run anywhere in the kernel would be in the way of themselves with. */
enum { NOT_ANYWHERE = FIELD_BIT(TIMER) | FIELD_BIT(WQ) | FIELD_ROOTS };

/* Linux's check_map_prog_compatibility(): what holds of every map that a program names, used or not. */
enum reason policy_may_name(struct verifier *v, const struct map_def *map, struct policy_maps *named)
{
    const struct prog_type *type = v->prog->type;

    if (type && type->traits & PROG_NO_LOCKS && map->spin_lock_off >= 0)
        return refuse(v, REASON_lock_misused, "programs of type %s may not use map '%s', which has a bpf_spin_lock",
                      type->name, map->name);
    if (type && type->traits & PROG_ANYWHERE && map->fields)
        for (unsigned i = 0; i < map->fields->n; i++)
            if (1u << map->fields->at[i].kind & NOT_ANYWHERE)
                return refuse(v, REASON_helper_map_type, "programs of type %s may not use map '%s', which has a %s",
                              type->name, map->name, field_name((enum field_kind)map->fields->at[i].kind));
    if (v->prog->sleepable && !policy_map_sleepable(map->type))
        return refuse(v, REASON_helper_map_type, "programs that may sleep may not use map '%s' of type %s", map->name,
                      map_type_name(map->type) ? map_type_name(map->type) : "unknown");
    /* Linux does not come to verify a program one of whose maps it cannot make. */
    if (type && map_type_name(map->type) && !map_def_sizes_fit(map))
        return refuse(v, REASON_helper_map_type, "map '%s' cannot be made: no %s has keys of %u and values of %u bytes",
                      map->name, map_type_name(map->type) ? map_type_name(map->type) : "such map", map->key_size,
                      map->value_size);
    return one_storage(v, map,
                       map->type == MAP_TYPE_CGROUP_STORAGE          ? &named->storage
                       : map->type == MAP_TYPE_PERCPU_CGROUP_STORAGE ? &named->percpu_storage
                       : map->type == MAP_TYPE_ARENA                 ? &named->arena
                                                                     : NULL);
}

/* Linux lets programs without capabilities have one function only. */
enum reason policy_functions(struct verifier *v, uint32_t *bad)
{
    for (uint32_t i = 0; i < v->prog->n_insns && !v->privileged && v->prog->type; i++) {
        const struct insn *insn = &v->prog->insns[i];

        if (insn->poisoned || insn->wide_tail || (insn->op != ISA_CALL_LOCAL && insn->op != ISA_LD_FUNC))
            continue;
        *bad = i;
        return refuse(v, REASON_unprivileged, "unprivileged programs have no functions of their own");
    }
    return REASON_ok;
}

bool is_gpl_compatible(const char *license)
{
    static const char *const ok[] = {"GPL",          "GPL v2",       "GPL and additional rights",
                                     "Dual BSD/GPL", "Dual MIT/GPL", "Dual MPL/GPL"};

    for (unsigned i = 0; i < sizeof(ok) / sizeof(ok[0]); i++)
        if (!strcmp(license, ok[i]))
            return true;
    return false;
}

bool policy_may_write_packet(const struct verifier *v)
{
    return !v->prog->type || v->prog->type->traits & PROG_PKT_WRITE;
}

/* Linux's may_access_direct_pkt_data() for helpers: a type that reads packets, and a helper that is made for it. */
bool policy_helper_sees_packet(const struct verifier *v, const struct helper *h)
{
    unsigned traits = v->prog->type ? v->prog->type->traits : 0;

    return traits & PROG_PKT_HELPERS || (traits & PROG_PKT_READ && h->effects & EFFECT_PACKET_MEM);
}

enum reason policy_return(struct verifier *v, struct state *s, unsigned reg)
{
    const struct prog_type *type = v->prog->type;
    const struct reg *r0 = state_reg(s, reg);
    int64_t min = r0->s.r.smin, max = r0->s.r.smax;
    struct prog_range range;
    enum reason reason;

    if (!type)
        return REASON_ok;
    if (!btf_ctx_returns(v, &range))
        range = prog_type_returns(type, v->prog->attach_type);
    if (range.min > range.max)
        return REASON_ok;
    if (r0->kind != REG_SCALAR)
        return refuse(v, REASON_return_pointer, "r%u is a %s", reg, reg_kind_name(r0));
    reason = precision_mark_reg(v, s, reg);
    if (reason)
        return reason;
    /* All 64 bits count, but for the error numbers of LSM hooks, which are ints. */
    if (range.min < 0) {
        min = r0->s.w.smin;
        max = r0->s.w.smax;
    }
    if (min < range.min || max > range.max)
        return refuse(v, REASON_return_value,
                      "r%u is between %lld and %lld, and programs of type %s return %d to %d here", reg, (long long)min,
                      (long long)max, type->name, range.min, range.max);
    return REASON_ok;
}
