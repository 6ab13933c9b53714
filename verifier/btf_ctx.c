/*
 * Contexts that are the arguments of a kernel function, tracepoint, LSM hook or iterator: what each load yields follows
 * from the prototype that the target's types have of it (Linux's btf_ctx_access()). The prototype is looked up once,
 * when the first load asks; where the target has none, the program is not judged.
 */
#include "verifier/verifier.h"
#include "vm/abi/hooks.h"
#include "vm/abi/struct_ops.h"
#include "vm/btf/btf.h"

#include <stdio.h>
#include <string.h>

/* What one argument is. */
struct arg {
    enum { ARG_IS_NUMBER, ARG_IS_POINTER, ARG_IS_BYTES, ARG_IS_RETVAL } is;
    uint32_t type; /* of a pointer: the struct */
    unsigned trust;
    uint32_t ref; /* that it comes with */
    bool maybe_null, read_only;
};

static const char *const prefixes[] = {
    [ATTACH_TRACE_FENTRY] = "",           [ATTACH_TRACE_FEXIT] = "",         [ATTACH_MODIFY_RETURN] = "",
    [ATTACH_TRACE_RAW_TP] = "btf_trace_", [ATTACH_TRACE_ITER] = "bpf_iter_", [ATTACH_LSM_MAC] = "bpf_lsm_",
    [ATTACH_LSM_CGROUP] = "bpf_lsm_",
};

static const char *prefix_of(const struct prog *prog)
{
    uint32_t at = prog->attach_type;

    if (prog->type->id != PROG_TYPE_TRACING && prog->type->id != PROG_TYPE_LSM)
        return NULL;
    return at < sizeof(prefixes) / sizeof(prefixes[0]) ? prefixes[at] : NULL;
}

/* Functions whose return value programs may replace: those made for errors to be injected, which system calls are, and
 * security hooks. Others are known to the running kernel alone. */
static bool may_sleep_in(const char *name)
{
    return !strncmp(name, "__x64_sys_", 10) || !strncmp(name, "__arm64_sys_", 12) ||
           !strncmp(name, "bpf_modify_return_test", 22) || !strcmp(name, "bpf_fentry_test1");
}

static bool may_replace_return(const char *name)
{
    return !strncmp(name, "security_", 9) || may_sleep_in(name);
}

/* What tracing would call in turn, and for programs that run afterwards, what never comes back. */
static bool is_denied(const struct prog *prog)
{
    static const char *const denied[] = {"migrate_disable",   "migrate_enable",    "rcu_read_unlock_strict",
                                         "preempt_count_add", "preempt_count_sub", "__rcu_read_lock",
                                         "__rcu_read_unlock"};
    static const char *const never_return[] = {
        "__ia32_sys_exit", "__ia32_sys_exit_group",     "__x64_sys_exit", "__x64_sys_exit_group", "do_exit",
        "do_group_exit",   "kthread_complete_and_exit", "kthread_exit",   "make_task_dead"};
    bool after = prog->attach_type == ATTACH_TRACE_FEXIT || prog->attach_type == ATTACH_MODIFY_RETURN;

    if (prog->type->id != PROG_TYPE_TRACING || prog->attach_type == ATTACH_TRACE_RAW_TP)
        return false;
    for (unsigned i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
        if (!strcmp(denied[i], prog->attach_target))
            return true;
    for (unsigned i = 0; after && i < sizeof(never_return) / sizeof(never_return[0]); i++)
        if (!strcmp(never_return[i], prog->attach_target))
            return true;
    return false;
}

static enum reason find_proto(struct verifier *v)
{
    const struct prog *prog = v->prog;
    const struct btf *btf = prog->kernel_btf;
    const char *prefix = prefix_of(prog);
    bool tracepoint = prog->attach_type == ATTACH_TRACE_RAW_TP;
    const struct btf_type *t;
    char name[256];
    uint32_t id;

    if (prog->type->id == PROG_TYPE_EXT)
        return unsupported(v, "what this program extends: nobody has named its target");
    if (!prefix) {
        snprintf(v->missing_name, sizeof(v->missing_name), "arguments of programs of type %s", prog->type->name);
        return unsupported(v, v->missing_name);
    }
    if (!btf)
        return unsupported(v, "arguments by their types, without the target's types");
    if (!*prog->attach_target)
        return unsupported(v, "arguments of a hook that is not named");
    if (prog->attach_type == ATTACH_MODIFY_RETURN && !may_replace_return(prog->attach_target))
        return unsupported(v, "whether this function's return value may be replaced");
    if (prog->sleepable && prog->type->id == PROG_TYPE_TRACING && prog->attach_type != ATTACH_TRACE_ITER &&
        !may_sleep_in(prog->attach_target))
        return unsupported(v, "whether programs may sleep in this function");
    snprintf(name, sizeof(name), "%s%s", prefix, prog->attach_target);
    id = btf_find(btf, name, tracepoint ? BTF_TYPEDEF : BTF_FUNC);
    t = id ? btf_type_at(btf, id) : NULL;
    if (t && tracepoint)
        t = btf_type_at(btf, btf_resolve(btf, t->type));
    if (t)
        t = btf_type_at(btf, t->type);
    if (!t || btf_kind(t) != BTF_FUNC_PROTO) {
        snprintf(v->missing_name, sizeof(v->missing_name), "a target without '%.40s'", name);
        return unsupported(v, v->missing_name);
    }
    v->hook.proto = t;
    v->hook.skip = tracepoint;
    return REASON_ok;
}

/* Linux wants what a trampoline can pass: twelve arguments of at most 16 bytes, and no further ones. */
static enum reason check_proto(struct verifier *v)
{
    const struct btf *btf = v->prog->kernel_btf;
    const struct btf_type *t = v->hook.proto;

    if (btf_vlen(t) > MAX_HOOK_ARGS)
        return refuse(v, REASON_hook, "'%s' has %u arguments; %d are the limit", v->prog->attach_target, btf_vlen(t),
                      MAX_HOOK_ARGS);
    for (unsigned i = 0; i < btf_vlen(t); i++) {
        uint32_t type = btf_params(t)[i].type;
        int64_t size = type ? btf_size(btf, type) : -1;

        if (size < 0 || size > 16)
            return refuse(v, REASON_hook, "argument %u of '%s' %s", i + 1, v->prog->attach_target,
                          type ? "is too large for programs" : "and further ones are not declared");
    }
    if (t->type && btf_size(btf, t->type) > 8)
        return refuse(v, REASON_hook, "'%s' returns more than 8 bytes", v->prog->attach_target);
    return REASON_ok;
}

enum reason btf_ctx_begin(struct verifier *v)
{
    const struct prog *prog = v->prog;
    enum reason reason;

    if (!prog->type || !(prog->type->traits & PROG_TYPED_ARGS) || prog->type->id == PROG_TYPE_RAW_TRACEPOINT_WRITABLE)
        return REASON_ok;
    if (prog->type->id == PROG_TYPE_LSM && !is_gpl_compatible(prog->license))
        return refuse(v, REASON_helper_gpl, "LSM programs have a GPL-compatible license");
    reason = prog->type->id == PROG_TYPE_STRUCT_OPS ? struct_ops_begin(v) : find_proto(v);
    if (!reason && is_denied(prog))
        reason = refuse(v, REASON_hook, "programs may not be attached to '%s'", prog->attach_target);
    if (!reason && prog->type->id == PROG_TYPE_LSM && hook_lsm(prog->attach_target) & HOOK_LSM_DISABLED)
        reason = refuse(v, REASON_hook, "the hook '%s' is not for programs", prog->attach_target);
    if (!reason)
        reason = check_proto(v);
    if (!reason && prog->type->id == PROG_TYPE_LSM && prog->sleepable &&
        !(hook_lsm(prog->attach_target) & HOOK_LSM_SLEEPS))
        reason = refuse(v, REASON_hook, "programs may not sleep in the hook '%s'", prog->attach_target);
    return reason;
}

static uint32_t slot_size(const struct btf *btf, uint32_t type)
{
    int64_t size = type ? btf_size(btf, type) : 0;

    return size <= 0 ? 0 : ((uint32_t)size + 7) & ~7u;
}

/* Which argument stands at this offset: n_params for what is returned, one more for nothing. */
static uint32_t arg_at(const struct btf *btf, const struct btf_type *proto, uint32_t off)
{
    uint32_t end = 0;

    for (unsigned i = 0; i < btf_vlen(proto); i++) {
        end += slot_size(btf, btf_params(proto)[i].type);
        if (off < end)
            return i;
    }
    return off < end + slot_size(btf, proto->type) ? btf_vlen(proto) : btf_vlen(proto) + 1;
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);

    return n >= k && !strcmp(name + n - k, suffix);
}

static bool args_trusted(const struct prog *prog)
{
    if (prog->type->id == PROG_TYPE_STRUCT_OPS)
        return true;
    if (prog->type->id == PROG_TYPE_LSM)
        return !(hook_lsm(prog->attach_target) & HOOK_LSM_UNTRUSTED);
    return prog->attach_type == ATTACH_TRACE_RAW_TP || prog->attach_type == ATTACH_TRACE_ITER;
}

static bool returns_visible(const struct prog *prog)
{
    if (prog->type->id == PROG_TYPE_STRUCT_OPS)
        return false;
    switch (prog->attach_type) {
    case ATTACH_LSM_MAC:
    case ATTACH_LSM_CGROUP:
    case ATTACH_TRACE_FEXIT:
    case ATTACH_MODIFY_RETURN: return true;
    default: return false;
    }
}

static enum reason pointer(struct verifier *v, const struct btf_type *ptr, uint32_t index, const char *name,
                           struct arg *out)
{
    const struct prog *prog = v->prog;
    const struct btf *btf = prog->kernel_btf;
    const struct btf_type *tag = btf_type_at(btf, ptr->type);
    const char *text = btf_kind(tag) == BTF_TYPE_TAG && !btf_kflag(tag) ? btf_str(btf, tag->name_off) : "";
    enum hook_iter_arg iter =
        prog->attach_type == ATTACH_TRACE_ITER ? hook_iter_arg(prog->attach_target, index) : HOOK_ITER_NONE;

    if (iter == HOOK_ITER_BYTES || iter == HOOK_ITER_CONST_BYTES) {
        out->is = ARG_IS_BYTES;
        out->maybe_null = true;
        out->read_only = iter == HOOK_ITER_CONST_BYTES;
        return REASON_ok;
    }
    out->type = btf_resolve(btf, ptr->type);
    if (btf_kind(btf_type_at(btf, out->type)) != BTF_STRUCT && btf_kind(btf_type_at(btf, out->type)) != BTF_UNION)
        return REASON_ok;
    out->is = ARG_IS_POINTER;
    if (iter) {
        out->maybe_null = true;
        out->trust = iter == HOOK_ITER_OBJECT ? TRUST_TRUSTED : 0;
        return REASON_ok;
    }
    out->trust = args_trusted(prog) ? TRUST_TRUSTED : 0;
    out->maybe_null = ends_in(name, "__nullable");
    if (prog->type->id == PROG_TYPE_STRUCT_OPS) {
        const char *as = struct_ops_seen_as(v->hook.ops, btf_name(btf, out->type));
        uint32_t id = btf_find(btf, as, BTF_STRUCT);

        out->type = id ? id : out->type;
        out->maybe_null = struct_ops_arg(v, index, "__nullable");
        out->ref = index < MAX_HOOK_ARGS ? v->hook.owned[index] : 0;
        return REASON_ok;
    }
    if (prog->attach_type == ATTACH_TRACE_RAW_TP) {
        enum hook_arg known = hook_tracepoint_arg(prog->attach_target, index);

        out->maybe_null |= known == HOOK_ARG_NULLABLE;
        if (known == HOOK_ARG_ERRORS)
            out->is = ARG_IS_NUMBER;
    }
    if (!strcmp(text, "user"))
        out->trust |= TRUST_USER;
    if (!strcmp(text, "percpu"))
        out->trust |= TRUST_PERCPU;
    return REASON_ok;
}

static enum reason describe(struct verifier *v, uint32_t off, uint32_t size, struct arg *out)
{
    const struct prog *prog = v->prog;
    const struct btf *btf = prog->kernel_btf;
    const struct btf_type *proto = v->hook.proto, *t;
    uint32_t n = btf_vlen(proto) - v->hook.skip, index, type;
    const char *name = "";

    *out = (struct arg){.is = ARG_IS_NUMBER};
    if (off % 8)
        return refuse(v, REASON_ctx_access, "arguments are read from multiples of 8, not from %u", off);
    index = arg_at(btf, proto, off);
    if (index > n || (index == n && !returns_visible(prog)))
        return refuse(v, REASON_ctx_access, "'%s' has no argument %u for programs here", prog->attach_target,
                      index + 1);
    if (index == n) {
        if (prog->attach_type == ATTACH_LSM_MAC)
            out->is = ARG_IS_RETVAL;
        type = proto->type;
    } else {
        name = btf_str(btf, btf_params(proto)[index + v->hook.skip].name_off);
        type = btf_params(proto)[index + v->hook.skip].type;
    }
    type = btf_resolve(btf, type);
    t = btf_type_at(btf, type);
    switch (btf_kind(t)) {
    case BTF_INT:
        if (btf_size(btf, type) > 8)
            break;
        return REASON_ok;
    case BTF_ENUM:
    case BTF_ENUM64: return REASON_ok;
    case BTF_STRUCT:
    case BTF_UNION:
        if (prog->attach_type == ATTACH_MODIFY_RETURN && index == n)
            break;
        return REASON_ok;
    case BTF_PTR:
        if (prog->attach_type == ATTACH_MODIFY_RETURN && index == n)
            break;
        if (size != 8)
            return refuse(v, REASON_ctx_access, "argument %u of '%s' is a pointer, of which %u bytes are read",
                          index + 1, prog->attach_target, size);
        return pointer(v, t, index, name, out);
    default: break;
    }
    return refuse(v, REASON_ctx_access, "argument %u of '%s' is neither a number nor a pointer", index + 1,
                  prog->attach_target);
}

enum reason btf_ctx_check(struct verifier *v, const struct state *s, uint32_t off, uint32_t size)
{
    struct arg arg;
    enum reason reason;

    if (v->prog->type->id == PROG_TYPE_RAW_TRACEPOINT_WRITABLE)
        return off ? REASON_ok : unsupported(v, "buffers of writable tracepoints");
    reason = describe(v, off, size, &arg);
    if (!reason && arg.ref && !state_has_ref(s, arg.ref))
        reason = refuse(v, REASON_reference_released, "the argument at offset %u was given back before", off);
    return reason;
}

struct reg btf_ctx_value(struct verifier *v, uint32_t off, uint32_t size)
{
    struct reg out = reg_unknown();
    struct arg arg;

    if (v->prog->type->id == PROG_TYPE_RAW_TRACEPOINT_WRITABLE || describe(v, off, size, &arg))
        return out;
    if (arg.is == ARG_IS_RETVAL && v->hook.proto->type) {
        bool bools = hook_lsm(v->prog->attach_target) & HOOK_LSM_BOOL;

        out.s.w.smin = bools ? 0 : -MAX_HOOK_ERRNO;
        out.s.w.smax = bools ? 1 : 0;
        scalar_sync(&out.s);
    }
    if (arg.is == ARG_IS_BYTES)
        return (struct reg){.kind = REG_BUFFER,
                            .flags = REG_MAYBE_NULL | (arg.read_only ? REG_READ_ONLY : 0),
                            .id = ++v->next_id,
                            .s = scalar_const(0)};
    if (arg.is != ARG_IS_POINTER)
        return out;
    return (struct reg){.kind = REG_BTF,
                        .flags = arg.maybe_null ? REG_MAYBE_NULL : 0,
                        .trust = (uint8_t)arg.trust,
                        .id = arg.ref          ? arg.ref
                              : arg.maybe_null ? ++v->next_id
                                               : 0,
                        .ref = arg.ref,
                        .size = arg.type,
                        .btf = v->prog->kernel_btf,
                        .s = scalar_const(0)};
}

bool btf_ctx_returns(const struct verifier *v, struct prog_range *range)
{
    const struct prog *prog = v->prog;

    if (prog->type->id == PROG_TYPE_STRUCT_OPS && v->hook.proto) {
        const struct btf_type *t = btf_type_at(prog->kernel_btf, btf_resolve(prog->kernel_btf, v->hook.proto->type));

        /* A pointer is what the program holds (struct_ops_gives()), or NULL. */
        *range = btf_kind(t) == BTF_PTR ? (struct prog_range){0, 0} : (struct prog_range){1, 0};
        return true;
    }
    if (prog->type->id != PROG_TYPE_LSM || !v->hook.proto)
        return false;
    if (prog->attach_type == ATTACH_LSM_CGROUP) {
        if (v->hook.proto->type)
            return false;
        *range = (struct prog_range){1, 1};
        return true;
    }
    if (!v->hook.proto->type)
        *range = (struct prog_range){1, 0};
    else if (hook_lsm(prog->attach_target) & HOOK_LSM_BOOL)
        *range = (struct prog_range){0, 1};
    else
        return false;
    return true;
}

bool btf_ctx_returns_void(const struct verifier *v)
{
    const struct prog *prog = v->prog;

    return prog->type && v->hook.proto && !v->hook.proto->type &&
           (prog->type->id == PROG_TYPE_STRUCT_OPS ||
            (prog->type->id == PROG_TYPE_LSM && prog->attach_type == ATTACH_LSM_MAC));
}
