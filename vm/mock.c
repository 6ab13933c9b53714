/*
 * A helper has no room for a closure: each slot has a function of its own, made below, that says its number. The
 * running program's set says what stands in the slot.
 */
#include "vm/mock.h"
#include "vm/abi/kfuncs.h"
#include "vm/abi/map_types.h"
#include "vm/env.h"
#include "vm/world/world.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct mock_slot {
    const struct helper *helper;
    struct helper kfunc; /* what helper points to, for a kernel function that has no row */
    char *name;          /* of it */
};

struct mock_set {
    bool all;
    const struct world *world;
    pthread_mutex_t lock;
    uint32_t n;
    struct mock_slot slots[MOCK_SLOTS];
};

/* Of a slot in one run. */
struct mock_use {
    bool known; /* what stands in its place was looked up */
    skep_helper_fn host;
    const struct world_mock *mock;
    uint64_t calls;
};

struct mock_state {
    const struct mock_host *host;
    uint32_t n_host;
    void (*on_call)(void *ctx, struct skep_env *env, const struct mock_call *call);
    void *ctx;
    uint32_t slot; /* that is being called */
    struct mock_use use[MOCK_SLOTS];
};

static uint64_t call(struct skep_env *env, uint32_t slot, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                     uint64_t a5);

#define FN(i)                                                                                                          \
    static uint64_t slot_##i(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)    \
    {                                                                                                                  \
        return call(env, 0x##i, a1, a2, a3, a4, a5);                                                                   \
    }
#define EACH_4(x, a, b, c, d) x(a) x(b) x(c) x(d)
#define EACH_16(x, h)                                                                                                  \
    EACH_4(x, h##0, h##1, h##2, h##3)                                                                                  \
    EACH_4(x, h##4, h##5, h##6, h##7)                                                                                  \
    EACH_4(x, h##8, h##9, h##a, h##b)                                                                                  \
    EACH_4(x, h##c, h##d, h##e, h##f)
#define EACH_64(x, a, b, c, d) EACH_16(x, a) EACH_16(x, b) EACH_16(x, c) EACH_16(x, d)
#define EACH_256(x, h)                                                                                                 \
    EACH_64(x, h##0, h##1, h##2, h##3)                                                                                 \
    EACH_64(x, h##4, h##5, h##6, h##7)                                                                                 \
    EACH_64(x, h##8, h##9, h##a, h##b)                                                                                 \
    EACH_64(x, h##c, h##d, h##e, h##f)
EACH_256(FN, 0)
EACH_256(FN, 1)
#define NAME(i) slot_##i,
static const skep_helper_fn functions[] = {EACH_256(NAME, 0) EACH_256(NAME, 1)};
_Static_assert(sizeof(functions) / sizeof(functions[0]) == MOCK_SLOTS, "a function for each slot");

/* ---- Sets ---- */

struct mock_set *mock_set_new(bool all, const struct world *world)
{
    struct mock_set *set = calloc(1, sizeof(*set));

    if (!set)
        return NULL;
    set->all = all;
    set->world = world;
    pthread_mutex_init(&set->lock, NULL);
    return set;
}

void mock_set_free(struct mock_set *set)
{
    if (!set)
        return;
    for (uint32_t i = 0; i < set->n; i++)
        free(set->slots[i].name);
    pthread_mutex_destroy(&set->lock);
    free(set);
}

/* Helpers and kernel functions go by their names with or without "bpf_". */
static const struct world_mock *find_mock(const struct world *world, const char *name)
{
    name += strncmp(name, "bpf_", 4) ? 0 : 4;
    for (uint32_t i = 0; world && i < world->n_mocks; i++)
        if (!strcmp(world->mocks[i].name, name))
            return &world->mocks[i];
    return NULL;
}

/* The slot of a row, taken when there is none yet; MOCK_SLOTS: all are taken. Under the lock. */
static uint32_t take_slot(struct mock_set *set, const struct helper *helper)
{
    uint32_t i = 0;

    while (i < set->n && set->slots[i].helper != helper)
        i++;
    if (i == set->n && i < MOCK_SLOTS)
        set->slots[set->n++].helper = helper;
    return i;
}

skep_helper_fn mock_wrap(struct mock_set *set, const struct helper *helper)
{
    uint32_t i;

    if (!set || helper->effects & EFFECT_ENGINE || (!set->all && !find_mock(set->world, helper->name)))
        return helper->body;
    pthread_mutex_lock(&set->lock);
    i = take_slot(set, helper);
    pthread_mutex_unlock(&set->lock);
    return i < MOCK_SLOTS ? functions[i] : helper->body;
}

/* The slot of a kernel function, made when there is none yet. Under the lock. */
static const struct helper *take_kfunc(struct mock_set *set, const char *name)
{
    struct mock_slot *slot;

    for (uint32_t i = 0; i < set->n; i++)
        if (set->slots[i].name && !strcmp(set->slots[i].name, name))
            return set->slots[i].helper;
    slot = &set->slots[set->n];
    if (set->n == MOCK_SLOTS || !(slot->name = strdup(name)))
        return NULL;
    set->n++;
    slot->kfunc = (struct helper){.name = slot->name, .ret = RET_INT};
    memset(slot->kfunc.arg, ARG_ANYTHING, sizeof(slot->kfunc.arg));
    return slot->helper = &slot->kfunc;
}

const struct helper *mock_kfunc(struct mock_set *set, const char *name)
{
    const struct helper *found;

    name += strncmp(name, "bpf_", 4) ? 0 : 4;
    if (!set || (!set->all && !find_mock(set->world, name)))
        return NULL;
    pthread_mutex_lock(&set->lock);
    found = take_kfunc(set, name);
    pthread_mutex_unlock(&set->lock);
    return found;
}

/* ---- What may be said in a helper's place ---- */

const char *mock_unfit(const struct helper *helper, uint64_t ret)
{
    enum { LARGEST_CPU = 8192 };

    if (helper->effects & (EFFECT_RELEASES | EFFECT_LOCKS | EFFECT_UNLOCKS | EFFECT_ENGINE))
        return "it ends what the program holds, or leaves the program: it cannot be mocked";
    switch (helper->ret) {
    case RET_INT:
    case RET_VOID: return NULL;
    case RET_BTF_ID_OR_NULL:
    case RET_PERCPU:
    case RET_PERCPU_OR_NULL:
    case RET_BTF_ID: /* a helper's is followed by loads that may lead nowhere; a kernel function's may be memory */
        return ret && helper->id >= KFUNC_FIRST_ID ? "it returns a pointer, of which a mock can give only NULL (0)"
                                                   : NULL;
    case RET_LENGTH: return NULL; /* held to the room when it is called */
    case RET_MAP_VALUE: return "it returns a pointer that is never NULL: it cannot be mocked";
    case RET_CPU: return ret < LARGEST_CPU ? NULL : "there is no such CPU: 0 to 8191";
    default: return ret ? "it returns a pointer, of which a mock can give only NULL (0)" : NULL;
    }
}

static bool is_written(unsigned kind)
{
    return kind == ARG_MEM_UNINIT || kind == ARG_MEM_UNINIT_OR_NULL || kind == ARG_MEM_RDWR || kind == ARG_INT_PTR ||
           kind == ARG_LONG_PTR;
}

static uint64_t room_of(const struct helper *helper, const uint64_t *args, unsigned i)
{
    switch (helper->arg[i]) {
    case ARG_INT_PTR: return 4;
    case ARG_LONG_PTR: return 8;
    default: return i < 4 ? (uint32_t)args[i + 1] : 0;
    }
}

static bool length_fits(const struct helper *helper, const uint64_t *args, uint64_t ret)
{
    unsigned i = 5;

    while (i && helper->arg[i - 1] != ARG_SIZE && helper->arg[i - 1] != ARG_SIZE_OR_ZERO)
        i--;
    return (int64_t)ret < 0 || !i || ret <= (uint32_t)args[i - 1];
}

/* Fills what the helper would fill: zeroes, and what the mock has for the argument that it names, else the first. */
static void give_out(const struct helper *helper, const uint64_t *args, const struct world_mock_step *step)
{
    bool given = false;

    for (unsigned i = 0; i < 5; i++) {
        unsigned char *to = (unsigned char *)(uintptr_t)args[i];
        uint64_t room = is_written(helper->arg[i]) && to ? room_of(helper, args, i) : 0;
        if (!room)
            continue;
        if (helper->arg[i] != ARG_MEM_RDWR)
            memset(to, 0, room);
        if (given || !step->out_size || (step->out_arg && step->out_arg != i + 1))
            continue;
        memcpy(to, step->out, step->out_size < room ? step->out_size : room);
        given = true;
    }
}

/* ---- Calls ---- */

static struct mock_set *set_of(const struct skep_env *env)
{
    return env->code->prog->helpers->mocks;
}

static void look_up(struct mock_state *s, const struct helper *helper, const struct world *world, struct mock_use *use)
{
    for (uint32_t i = 0; i < s->n_host && !use->host; i++)
        if (!strcmp(s->host[i].name, helper->name))
            use->host = s->host[i].fn;
    use->mock = find_mock(world, helper->name);
    use->known = true;
}

/* The step for this call; NULL: the body's turn. */
static const struct world_mock_step *step_for(const struct world_mock *mock, uint64_t call)
{
    const struct world_mock_step *step;

    if (mock->nth)
        return call == mock->nth ? &mock->steps[0] : NULL;
    if (call < mock->from)
        return NULL;
    call -= mock->from ? mock->from : 1;
    step = &mock->steps[call < mock->n_steps ? call : mock->n_steps - 1];
    return step->real ? NULL : step;
}

/* The verifier knows that an index inside an array has a value, and never looked at what comes after NULL. */
static bool always_found(const struct skep_env *env, const struct helper *helper, const uint64_t *args)
{
    const struct map *map = (const struct map *)(uintptr_t)args[0];
    uint32_t key;

    if (env->checked || helper->ret != RET_MAP_VALUE_OR_NULL || helper->arg[0] != ARG_MAP ||
        (map->def.type != MAP_TYPE_ARRAY && map->def.type != MAP_TYPE_PERCPU_ARRAY))
        return false;
    memcpy(&key, (const void *)(uintptr_t)args[1], sizeof(key));
    return key < map->def.max_entries;
}

/* What was taken for granted of a result holds for a mock's too. */
static uint64_t held(struct skep_env *env, const struct helper *helper, const uint64_t *args, uint64_t ret, bool host)
{
    const char *why = host && ret ? NULL : mock_unfit(helper, ret);

    if (!why && helper->ret == RET_LENGTH && !length_fits(helper, args, ret))
        why = "it returns more bytes than there is room for";
    if (!why && helper->ret == RET_CPU)
        why = mock_unfit(helper, ret);
    if (!why && !ret && always_found(env, helper, args))
        why = "an index inside an array is always found, and the verifier relies on it; run checked";
    if (why)
        env_trap(env, TRAP_host, 0, 0, "mock of bpf_%s: %s", helper->name, why);
    return ret;
}

static uint64_t from_world(struct skep_env *env, const struct helper *helper, const uint64_t *args,
                           const struct world_mock_step *step)
{
    uint64_t ret = held(env, helper, args, step->ret, false);

    if (env->trap.kind == TRAP_none)
        give_out(helper, args, step);
    return ret;
}

static uint64_t body_of(struct skep_env *env, const struct helper *helper, const uint64_t *a)
{
    if (!helper->body)
        return env_trap(env, TRAP_helper_missing, 0, 0, "%s is not available here, and its mock leaves this call to it",
                        helper->name);
    return helper->body(env, a[0], a[1], a[2], a[3], a[4]);
}

static uint64_t call(struct skep_env *env, uint32_t slot, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                     uint64_t a5)
{
    const struct helper *helper = set_of(env)->slots[slot].helper;
    const uint64_t args[5] = {a1, a2, a3, a4, a5};
    struct mock_state *s = env->mocks;
    const struct world_mock_step *step = NULL;
    struct mock_use *use = s ? &s->use[slot] : NULL;
    uint64_t ret;
    uint32_t outer;

    if (!use)
        return body_of(env, helper, args);
    if (!use->known)
        look_up(s, helper, env->world, use);
    use->calls++;
    outer = s->slot;
    s->slot = slot;
    if (!use->host && use->mock)
        step = step_for(use->mock, use->calls);
    ret = use->host ? held(env, helper, args, use->host(env, a1, a2, a3, a4, a5), true)
          : step    ? from_world(env, helper, args, step)
                    : body_of(env, helper, args);
    s->slot = outer;
    if (s->on_call && env->trap.kind == TRAP_none)
        s->on_call(s->ctx, env,
                   &(struct mock_call){.helper = helper, .args = args, .ret = ret, .mocked = use->host || step});
    return ret;
}

uint32_t mock_arg_mem(const struct mock_call *call, unsigned i)
{
    const struct helper *helper = call->helper;
    const struct map *map = NULL;

    for (unsigned k = 0; k < i && !map; k++)
        if (helper->arg[k] == ARG_MAP)
            map = (const struct map *)(uintptr_t)call->args[k];
    if (!call->args[i])
        return 0;
    switch (helper->arg[i]) {
    case ARG_MEM:
    case ARG_MEM_OR_NULL:
    case ARG_MEM_UNINIT:
    case ARG_MEM_UNINIT_OR_NULL:
    case ARG_MEM_RDWR: return (uint32_t)(i < 4 ? call->args[i + 1] : 0);
    case ARG_MAP_KEY: return map ? map->def.key_size : 0;
    case ARG_MAP_VALUE:
    case ARG_MAP_VALUE_OR_NULL:
    case ARG_MAP_VALUE_UNINIT: return map ? map->def.value_size : 0;
    case ARG_INT_PTR: return 4;
    case ARG_LONG_PTR: return 8;
    default: return 0;
    }
}

int mock_begin(struct skep_env *env, const struct mock_host *host, uint32_t n,
               void (*on_call)(void *ctx, struct skep_env *env, const struct mock_call *call), void *ctx)
{
    struct mock_state *s = env->mocks;

    if (!s && !n && !on_call && !(env->world && env->world->n_mocks))
        return 0;
    if (!s && !(s = env->mocks = malloc(sizeof(*s))))
        return -ENOMEM;
    memset(s, 0, sizeof(*s));
    s->host = host;
    s->n_host = n;
    s->on_call = on_call;
    s->ctx = ctx;
    return 0;
}

void mock_drop(struct skep_env *env)
{
    free(env->mocks);
    env->mocks = NULL;
}

uint64_t mock_call_body(struct skep_env *env, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4, uint64_t a5)
{
    if (!env->mocks)
        return env_trap(env, TRAP_host, 0, 0, "no helper is being mocked");
    return body_of(env, set_of(env)->slots[env->mocks->slot].helper, (uint64_t[]){a1, a2, a3, a4, a5});
}
