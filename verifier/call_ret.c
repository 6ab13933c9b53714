/*
 * What helpers return, by the kinds of the rows: one arm of call_result() a kind.
 */
#include "verifier/call.h"
#include "vm/abi/map_types.h"
#include "vm/abi/policy.h"

enum { MAX_ERRNO = 4095 };

/* Does what was found in the map hold a reference? */
static bool finds_socket(const struct call_args *c)
{
    return c->helper->ret == RET_MAP_VALUE_OR_NULL && c->map && policy_map_finds(c->map->type) == MAP_FINDS_SOCKET;
}

bool call_acquires(const struct call_args *c)
{
    return c->helper->effects & EFFECT_ACQUIRES || finds_socket(c);
}

/* The result holds a reference of its own, or shares that of what it was cast from. */
static struct reg referenced(struct verifier *v, const struct call_args *c, struct reg out)
{
    if (c->helper->effects & EFFECT_CASTS)
        out.ref = c->ref;
    if (!call_acquires(c))
        return out;
    out.id = out.ref = ++v->next_id;
    return out;
}

struct reg call_result(struct verifier *v, const struct call_args *c)
{
    struct reg out = reg_unknown();

    switch (c->helper->ret) {
    case RET_VOID: return (struct reg){.kind = REG_NONE};
    case RET_MAP_VALUE_OR_NULL:
        out = (struct reg){
            .kind = REG_MAP_VALUE, .flags = REG_MAYBE_NULL, .map = c->map, .id = ++v->next_id, .s = scalar_const(0)};
        out.map_uid = c->map_uid;
        if (policy_map_finds(c->map->type) != MAP_FINDS_VALUE)
            return referenced(
                v, c,
                sock_reg(v, policy_map_finds(c->map->type) == MAP_FINDS_SOCKET ? REG_SOCKET : REG_XDP_SOCK, true));
        if (c->map->inner) {
            out.kind = REG_MAP;
            out.map = c->map->inner;
            out.map_uid = v->next_id;
        } else if (c->has_const_key) {
            out.flags = 0;
        }
        return out;
    case RET_MAP_VALUE:
        return (struct reg){.kind = REG_MAP_VALUE, .map = c->map, .id = ++v->next_id, .s = scalar_const(0)};
    case RET_RINGBUF_MEM_OR_NULL:
        out = (struct reg){
            .kind = REG_MEM, .flags = REG_MAYBE_NULL | REG_RECORD, .size = (uint32_t)c->mem_size, .s = scalar_const(0)};
        return referenced(v, c, out);
    case RET_SOCKET_OR_NULL: return referenced(v, c, sock_reg(v, REG_SOCKET, true));
    case RET_SOCK_COMMON_OR_NULL: return referenced(v, c, sock_reg(v, REG_SOCK_COMMON, true));
    case RET_TCP_SOCK_OR_NULL: return referenced(v, c, sock_reg(v, REG_TCP_SOCK, true));
    case RET_BTF_ID:
        if (!helper_kernel_type(c->helper, 0) || !btf_kernel_type(v, helper_kernel_type(c->helper, 0)))
            return (struct reg){.kind = REG_KERNEL, .s = scalar_const(0)};
        return btf_ptr_reg(v, helper_kernel_type(c->helper, 0), TRUST_TRUSTED);
    case RET_BTF_ID_OR_NULL:
        out = btf_ptr_reg(v, helper_kernel_type(c->helper, 0), 0);
        out.flags |= REG_MAYBE_NULL;
        out.id = ++v->next_id;
        return referenced(v, c, out);
    case RET_PERCPU: return btf_ptr_of_cpu(&c->variable);
    case RET_PERCPU_OR_NULL:
        out = btf_ptr_of_cpu(&c->variable);
        out.flags |= REG_MAYBE_NULL;
        out.id = ++v->next_id;
        return out;
    case RET_DYNPTR_MEM_OR_NULL:
        out =
            (struct reg){.kind = REG_MEM, .flags = REG_MAYBE_NULL, .size = (uint32_t)c->mem_size, .s = scalar_const(0)};
        out.id = ++v->next_id;
        out.ref = c->dynptr.ref;
        out.map_uid = c->dynptr.id;
        return out;
    case RET_LENGTH:
        out.s = scalar_signed(-MAX_ERRNO, (int64_t)c->max_size);
        out.s.w.smin = -MAX_ERRNO;
        out.s.w.smax = (int32_t)c->max_size;
        scalar_sync(&out.s);
        return out;
    case RET_KPTR_OR_NULL: return referenced(v, c, kptr_taken(v, c->kptr));
    case RET_CPU: out.s = scalar_unsigned(0, MAP_MAX_CPUS - 1); return out;
    default: break;
    }
    return out;
}
