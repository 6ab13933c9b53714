/*
 * Arguments of helpers under checked execution: a body sees only what its row promises, so that it needs no checks of
 * its own. Every kind of argument is judged by one function here. The row's kinds come in Linux's order: memory is
 * followed by its size, keys and values come after their map.
 */
#include "vm/abi/map_types.h"
#include "vm/abi/policy.h"
#include "vm/env.h"
#include "vm/helpers/dynptr.h"
#include <string.h>

struct call {
    struct skep_env *env;
    const struct helper *helper;
    uint64_t *args;
    struct map *map; /* the map argument, once seen */
};

static bool refuse(struct call *c, unsigned i, const char *wanted)
{
    env_trap(c->env, TRAP_helper_argument, c->args[i], 0, "argument %u of bpf_%s must be %s, is 0x%llx", i + 1,
             c->helper->name, wanted, (unsigned long long)c->args[i]);
    return false;
}

static bool check_mem(struct call *c, unsigned i, uint64_t size, unsigned access)
{
    void *p = env_find_mem(c->env, c->args[i], size, access);

    if (!p) {
        env_trap_mem(c->env, c->args[i], size, access);
        return false;
    }
    if (size)
        c->args[i] = (uintptr_t)p;
    return true;
}

static bool check_sized(struct call *c, unsigned i, unsigned access, bool may_be_null)
{
    enum arg_kind kind = i + 1 < 5 ? c->helper->arg[i + 1] : ARG_NONE;
    uint64_t size = i + 1 < 5 ? c->args[i + 1] : 0;

    /* Linux bounds sizes by BPF_MAX_VAR_SIZ, 2^29 - 1, and takes them as signed numbers. */
    if (size >= 1u << 29)
        return refuse(c, i + 1, "a size below 2^29");
    if (!size && kind == ARG_SIZE)
        return refuse(c, i + 1, "a size above 0");
    if (!c->args[i] && may_be_null && !size)
        return true;
    return check_mem(c, i, size, access);
}

static bool check_map(struct call *c, unsigned i)
{
    c->map = env_find_map(c->env, c->args[i]);
    if (!c->map)
        return refuse(c, i, "a map of the program");
    if (c->helper->map_type && c->map->def.type != c->helper->map_type) {
        const char *name = map_type_name(c->helper->map_type), *is = map_type_name(c->map->def.type);
        env_trap(c->env, TRAP_helper_argument, c->args[i], 0,
                 "argument %u of bpf_%s must be a map of type %s; '%s' is %s", i + 1, c->helper->name,
                 name ? name : "?", c->map->def.name, is ? is : "?");
        return false;
    }
    return true;
}

static bool check_string(struct call *c, unsigned i)
{
    uint64_t addr = c->args[i];
    const char *p;

    for (uint64_t n = 0; n < 1 << 20; n++) {
        p = env_find_mem(c->env, addr + n, 1, ENV_READ);
        if (!p) {
            env_trap_mem(c->env, addr + n, 1, ENV_READ);
            return false;
        }
        if (!n)
            c->args[i] = (uintptr_t)p;
        else if ((uintptr_t)p != c->args[i] + n)
            break;
        if (!*p)
            return true;
    }
    return refuse(c, i, "a NUL-terminated string");
}

static bool is_function(const struct code *code, uint64_t addr)
{
    uint64_t off = addr - (uintptr_t)code->funcs;

    return off < code->n_funcs * sizeof(*code->funcs) && off % sizeof(*code->funcs) == 0;
}

/* A structure of the world may be one, which bodies find out. */
static bool is_sock(const struct call *c, unsigned i)
{
    enum arg_kind kind = (enum arg_kind)c->helper->arg[i];

    return sock_at(c->env, c->args[i]) ||
           ((kind == ARG_SOCK || kind == ARG_SOCK_OR_NULL) && env_is_kernel(c->env, c->args[i]));
}

static bool check_one(struct call *c, unsigned i)
{
    uint64_t value = c->args[i];

    switch ((enum arg_kind)c->helper->arg[i]) {
    case ARG_CTX: return value == (uintptr_t)c->env->ctx || refuse(c, i, "the context");
    case ARG_CTX_OR_NULL: return !value || value == (uintptr_t)c->env->ctx || refuse(c, i, "the context or NULL");
    case ARG_MAP: return check_map(c, i);
    case ARG_MAP_KEY: return c->map ? check_mem(c, i, c->map->def.key_size, ENV_READ) : refuse(c, i, "after a map");
    case ARG_MAP_VALUE: return c->map ? check_mem(c, i, c->map->def.value_size, ENV_READ) : refuse(c, i, "after a map");
    case ARG_MAP_VALUE_OR_NULL:
        if (!value)
            return true;
        return c->map ? check_mem(c, i, c->map->def.value_size, ENV_READ) : refuse(c, i, "after a map");
    case ARG_MAP_VALUE_UNINIT:
        if (!c->map)
            return refuse(c, i, "after a map");
        return check_mem(c, i, c->map->def.value_size,
                         policy_map_reads_value(c->map->def.type, c->helper->id) ? ENV_READ : ENV_WRITE);
    case ARG_MEM: return check_sized(c, i, ENV_READ, false);
    case ARG_MEM_OR_NULL: return check_sized(c, i, ENV_READ, true);
    case ARG_MEM_UNINIT: return check_sized(c, i, ENV_WRITE, false);
    case ARG_MEM_UNINIT_OR_NULL: return check_sized(c, i, ENV_WRITE, true);
    case ARG_MEM_RDWR: return check_sized(c, i, ENV_READ | ENV_WRITE, false);
    case ARG_MEM_RDWR_OR_NULL: return !value || check_sized(c, i, ENV_READ | ENV_WRITE, false);
    case ARG_CONST_STR:
    case ARG_STR: return check_string(c, i);
    case ARG_IPV4_HDR:
    case ARG_TCP_HDR: return check_mem(c, i, 20, ENV_READ);
    case ARG_IPV6_HDR: return check_mem(c, i, 40, ENV_READ);
    case ARG_SHORT_PTR: return check_mem(c, i, 2, ENV_WRITE);
    case ARG_INT_PTR: return check_mem(c, i, 4, ENV_WRITE);
    case ARG_LONG_PTR: return check_mem(c, i, 8, ENV_WRITE);
    case ARG_TWO_LONGS: return check_mem(c, i, 16, ENV_WRITE);
    case ARG_THREE_LONGS: return check_mem(c, i, 24, ENV_WRITE);
    case ARG_RINGBUF_MEM: {
        const struct env_ref *ref = env_ref_find(c->env, value);
        return (ref && ref->size) || refuse(c, i, "a record that was reserved and not yet submitted or discarded");
    }
    case ARG_SPIN_LOCK: return env_is_lock(c->env, value) || refuse(c, i, "a struct bpf_spin_lock in a map value");
    case ARG_DYNPTR:
    case ARG_DYNPTR_RECORD: return dynptr_is_sound(c->env, value) || refuse(c, i, "a dynptr on the stack");
    case ARG_DYNPTR_NEW:
    case ARG_DYNPTR_NEW_RECORD: return check_mem(c, i, DYNPTR_BYTES, ENV_WRITE);
    case ARG_FUNC: return is_function(c->env->code, value) || refuse(c, i, "a function of the program");
    case ARG_SOCKET_OR_NULL:
    case ARG_SOCK_OR_NULL:
        if (!value)
            return true;
        /* fall through */
    case ARG_SOCK:
    case ARG_SOCK_COMMON:
    case ARG_SOCKET: return is_sock(c, i) || refuse(c, i, "a socket");
    case ARG_ZERO: return !value || refuse(c, i, "0");
    case ARG_NONE:
    case ARG_ANYTHING:
    case ARG_SIZE:
    case ARG_SIZE_OR_ZERO:
    case ARG_CONST_SIZE_OR_ZERO:
    case ARG_STACK_OR_NULL: /* handed on to the callback, which is checked itself */
    case ARG_TIMER:         /* bodies look where these stand (vm/helpers/field.h) */
    case ARG_KPTR:
    case ARG_KPTR_VALUE:
    case ARG_BTF_ID: /* bodies follow kernel pointers through env_probe() only */
    case ARG_BTF_ID_OR_NULL:
    case ARG_PERCPU: return true;
    }
    return refuse(c, i, "of a kind that checked execution knows");
}

bool env_check_args(struct skep_env *env, const struct helper *helper, uint64_t args[5])
{
    struct call c = {.env = env, .helper = helper, .args = args};

    for (unsigned i = 0; i < 5; i++)
        if (helper->arg[i] != ARG_NONE && !check_one(&c, i))
            return false;
    return true;
}

void env_note_result(struct skep_env *env, const struct helper *helper, const uint64_t args[5], uint64_t result)
{
    const struct map *outer = (const struct map *)(uintptr_t)args[0];

    if (helper->ret != RET_MAP_VALUE_OR_NULL || !result || helper->arg[0] != ARG_MAP)
        return;
    if (outer->def.type != MAP_TYPE_ARRAY_OF_MAPS && outer->def.type != MAP_TYPE_HASH_OF_MAPS)
        return;
    for (uint32_t i = 0; i < env->n_inner && i < ENV_MAX_INNER; i++)
        if ((uintptr_t)env->inner[i] == result)
            return;
    env->inner[env->n_inner++ % ENV_MAX_INNER] = (struct map *)(uintptr_t)result;
}
