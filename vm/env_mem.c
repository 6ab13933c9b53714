/*
 * The memory that a run may touch, and how far. A `struct env_mem` found here is the smallest thing that bounds an
 * access: all frames in use, the packet, one value of a map, one field of the context, one record. Nothing outside of
 * it is ever given out, whatever address and size a program makes up. The cache and the windows hold only memory that
 * stays while the run lasts or until env_forget_mem(); the stack is in neither, since frames come and go.
 */
#include "vm/abi/map_types.h"
#include "vm/abi/prog_types.h"
#include "vm/env.h"
#include "vm/heap.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void env_forget_mem(struct skep_env *env)
{
    for (unsigned i = 0; i < ENV_WINDOWS; i++)
        env->windows[i].limit = 0;
    memset(env->cache, 0, sizeof(env->cache));
}

static bool holds(const struct env_mem *m, uint64_t addr)
{
    return addr - m->guest < m->size;
}

static bool fits(const struct env_mem *m, uint64_t addr, uint64_t size)
{
    return addr - m->guest <= m->size && size <= m->size - (addr - m->guest);
}

/* Member by member: a struct made elsewhere and copied here would be read back wider than it was just written, which
 * processors wait for. */
static inline void put_home(struct env_mem *m, const void *p, uint64_t size, unsigned access, enum env_mem_kind kind,
                            const char *name)
{
    m->guest = (uintptr_t)p;
    m->host = (unsigned char *)(uintptr_t)p;
    m->size = size;
    m->access = (uint8_t)access;
    m->kind = (uint8_t)kind;
    m->name = name;
}

static struct env_mem at_home(const void *p, uint64_t size, unsigned access, enum env_mem_kind kind, const char *name)
{
    struct env_mem m;

    put_home(&m, p, size, access, kind, name);
    return m;
}

static struct env_mem stack_of(const struct skep_env *env)
{
    uint64_t low = env_stack_low(env);

    return at_home((void *)(uintptr_t)low, (uintptr_t)env->stack + sizeof(env->stack) - low, ENV_READ | ENV_WRITE,
                   ENV_MEM_STACK, "stack");
}

static struct env_mem packet_of(const struct skep_env *env)
{
    const struct env_packet *p = &env->packet;
    const unsigned char *start = p->data_meta && p->data_meta < p->data ? p->data_meta : p->data;

    if (!start || p->data_end < start)
        return (struct env_mem){0};
    return at_home(start, (uint64_t)(p->data_end - start), p->read_only ? ENV_READ : ENV_READ | ENV_WRITE,
                   ENV_MEM_PACKET, "packet");
}

static bool find_stack(const struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    uint64_t low = env_stack_low(env), size = (uintptr_t)env->stack + sizeof(env->stack) - low;

    if (addr - low >= size)
        return false;
    put_home(m, (void *)(uintptr_t)low, size, ENV_READ | ENV_WRITE, ENV_MEM_STACK, "stack");
    return true;
}

static bool find_packet(const struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    const struct env_packet *p = &env->packet;
    const unsigned char *start = p->data_meta && p->data_meta < p->data ? p->data_meta : p->data;

    if (!start || p->data_end < start || addr - (uintptr_t)start >= (uint64_t)(p->data_end - start))
        return false;
    put_home(m, start, (uint64_t)(p->data_end - start), p->read_only ? ENV_READ : ENV_READ | ENV_WRITE, ENV_MEM_PACKET,
             "packet");
    return true;
}

static bool find_sock(const struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    const char *name;
    uint64_t size;
    void *record;

    if (!sock_find_record(env, addr, &record, &size, &name))
        return false;
    put_home(m, record, size, ENV_READ, ENV_MEM_RAW, name);
    return true;
}

static uint8_t ctx_access(unsigned access)
{
    return (access & CTX_READ ? ENV_READ : 0) | (access & CTX_WRITE ? ENV_WRITE : 0);
}

/* The part of the context around an address that may be touched as one: a field, or all of it where there are no
 * fields. */
static bool find_ctx(const struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    const struct ctx_layout *layout = env->ctx_layout;
    uint64_t off = addr - (uintptr_t)env->ctx;
    const struct ctx_field *f;

    if (!env->ctx || off >= env->ctx_size)
        return false;
    if (!layout || !layout->n_fields) {
        put_home(m, env->ctx, env->ctx_size, layout ? ctx_access(layout->access) : ENV_READ | ENV_WRITE, ENV_MEM_CTX,
                 "context");
        return true;
    }
    f = ctx_field_at(layout, (uint32_t)off);
    if (!f || off < f->off || (uint64_t)f->off + f->size > env->ctx_size)
        return false;
    put_home(m, (char *)env->ctx + f->off, f->size, 0, ENV_MEM_CTX, f->name);
    if (f->kind != CTX_PACKET && f->kind != CTX_PACKET_END && f->kind != CTX_PACKET_META)
        m->access = ctx_access(f->access);
    else if (f->size == sizeof(void *) && f->kind != CTX_PACKET_META) { /* wide enough for what it yields */
        m->host = (unsigned char *)(uintptr_t)(f->kind == CTX_PACKET ? &env->packet.data : &env->packet.data_end);
        m->access = ctx_access(f->access & CTX_READ);
    }
    return true;
}

/* Which parts of a field may be touched, its row says. */
static bool ctx_part_ok(const struct skep_env *env, uint64_t addr, uint64_t size, unsigned access)
{
    const struct ctx_field *f;
    uint64_t off = addr - (uintptr_t)env->ctx;

    if (!env->ctx_layout || !env->ctx_layout->n_fields)
        return true;
    f = ctx_field_at(env->ctx_layout, (uint32_t)off);
    return f && (!(access & ENV_READ) || ctx_field_allows(f, (uint32_t)off, (uint32_t)size, CTX_READ)) &&
           (!(access & ENV_WRITE) || ctx_field_allows(f, (uint32_t)off, (uint32_t)size, CTX_WRITE));
}

bool env_ctx_packet(const struct skep_env *env, uint64_t addr, uint32_t size, uint64_t *value)
{
    uint64_t off = addr - (uintptr_t)env->ctx;
    const struct ctx_field *f;

    if (!env->ctx || !env->ctx_layout || off >= env->ctx_size)
        return false;
    f = ctx_field_at(env->ctx_layout, (uint32_t)off);
    if (!f || f->off != off || f->size != size || !(f->access & CTX_READ))
        return false;
    switch (f->kind) {
    case CTX_PACKET: *value = (uintptr_t)env->packet.data; return true;
    case CTX_PACKET_END: *value = (uintptr_t)env->packet.data_end; return true;
    case CTX_PACKET_META:
        *value = (uintptr_t)(env->packet.data_meta ? env->packet.data_meta : env->packet.data);
        return true;
    default: return false;
    }
}

static const char lock_name[] = "struct bpf_spin_lock";

/* Cuts from m, which begins at a value or object, what lies around the address and is of one kind: a special field,
 * which programs may not touch but for reading pointers, or memory between two of them. */
static void keep_off(const struct field *at, uint32_t n, uint64_t addr, struct env_mem *m)
{
    uint64_t off = addr - m->guest, from = 0, end = m->size;

    for (uint32_t i = 0; i < n && off < m->size; i++) {
        uint64_t stop = (uint64_t)at[i].off + at[i].size;

        if (off >= stop) {
            from = stop;
        } else if (off < at[i].off) {
            end = at[i].off < end ? at[i].off : end;
            break;
        } else {
            from = at[i].off;
            end = stop < end ? stop : end;
            m->name = at[i].kind == FIELD_SPIN_LOCK ? lock_name : field_name((enum field_kind)at[i].kind);
            m->access &= at[i].kind == FIELD_KPTR_UNTRUSTED                  ? ENV_READ | ENV_WRITE
                         : at[i].kind >= FIELD_KPTR_UNTRUSTED && off == from ? ENV_READ
                                                                             : 0;
            break;
        }
    }
    m->guest += from;
    m->host += from;
    m->size = end > from ? end - from : 0;
}

/* A lock in a value is for bpf_spin_lock and bpf_spin_unlock alone: who could store there could make others wait for
 * ever. Other fields hold addresses of the host's. */
static void keep_off_fields(const struct map *map, uint64_t addr, struct env_mem *m)
{
    const struct field lock = {.off = (uint32_t)map->def.spin_lock_off, .size = 4, .kind = FIELD_SPIN_LOCK};

    if (map->def.fields)
        keep_off(map->def.fields->at, map->def.fields->n, addr, m);
    else if (map->def.spin_lock_off >= 0)
        keep_off(&lock, 1, addr, m);
}

static bool find_in_map(struct map *map, uint64_t addr, struct env_mem *m)
{
    struct map_region r;
    uint64_t at;

    if (!map || !map->ops->find_region || !map->ops->find_region(map, (uintptr_t)addr, &r) || addr - r.base >= r.size)
        return false;
    at = r.stride ? r.base + (addr - r.base) / r.stride * r.stride + r.elem_off : r.base + r.elem_off;
    put_home(m, (void *)(uintptr_t)at, r.elem_size,
             (map->def.flags & MAP_F_WRONLY_PROG ? 0 : ENV_READ) |
                 (r.read_only || map_def_prog_flags(&map->def) & MAP_F_RDONLY_PROG ? 0 : ENV_WRITE),
             ENV_MEM_MAP, map->def.name);
    keep_off_fields(map, addr, m);
    return true;
}

static uint32_t n_inner(const struct skep_env *env)
{
    return env->n_inner < ENV_MAX_INNER ? env->n_inner : ENV_MAX_INNER;
}

static bool find_map_value(struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    const struct code *code = env->code;
    bool found = false;

    for (unsigned i = 0; i < ENV_MEM_CACHE; i++)
        if (holds(&env->cache[i], addr)) {
            *m = env->cache[i];
            return true;
        }
    for (uint32_t i = 0; code && i < code->prog->n_maps && !found; i++)
        found = find_in_map(code->maps[i], addr, m);
    for (uint32_t i = n_inner(env); i-- > 0 && !found;)
        found = find_in_map(env->inner[i], addr, m);
    if (found)
        env->cache[env->cache_next++ % ENV_MEM_CACHE] = *m;
    return found;
}

/* What programs allocated. What was dropped may still be read until the run ends, as under RCU. */
static bool find_object(uint64_t addr, struct env_mem *m)
{
    struct object *o = heap_find(addr);
    uint64_t room, cpu;

    if (!o)
        return false;
    room = (o->size + 7ull) & ~7ull;
    cpu = (addr - (uintptr_t)object_mem(o)) / (room ? room : 1);
    put_home(m, object_mem(o) + cpu * room, o->size,
             __atomic_load_n(&o->state, __ATOMIC_RELAXED) == OBJECT_LIVE ? ENV_READ | ENV_WRITE : ENV_READ, ENV_MEM_RAW,
             "an object of the program");
    if (o->fields)
        keep_off(o->fields->at, o->fields->n, addr, m);
    return true;
}

struct map *env_find_value(struct skep_env *env, uint64_t addr, void **value)
{
    const struct code *code = env->code;
    struct map *found = NULL;
    struct map_region r;

    for (uint32_t i = 0; i < code->prog->n_maps + n_inner(env) && !found; i++) {
        struct map *map = i < code->prog->n_maps ? code->maps[i] : env->inner[i - code->prog->n_maps];

        if (map && map->ops->find_region && map->ops->find_region(map, (uintptr_t)addr, &r) && addr - r.base < r.size)
            found = map;
    }
    if (!found)
        return NULL;
    *value = (void *)(uintptr_t)(r.stride ? r.base + (addr - r.base) / r.stride * r.stride + r.elem_off
                                          : r.base + r.elem_off);
    return addr - (uintptr_t)*value < r.elem_size ? found : NULL;
}

static const struct env_mem *find_sorted(const struct env_mem *mems, uint32_t n, uint64_t addr)
{
    uint32_t lo = 0, hi = n;

    while (lo < hi) { /* how many begin at or below addr */
        uint32_t mid = lo + (hi - lo) / 2;
        if (mems[mid].guest <= addr)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && holds(&mems[lo - 1], addr) ? &mems[lo - 1] : NULL;
}

static bool find_world(const struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    const struct env_mem *found = find_sorted(env->world_mems, env->n_world_mems, addr);

    if (!found)
        found = find_sorted(env->task_mems, env->n_task_mems, addr);
    if (!found)
        return false;
    *m = *found;
    for (uint32_t i = 0; i < env->n_own_mems; i++)
        if (env->own_mems[i].guest == m->guest)
            *m = env->own_mems[i];
    return true;
}

bool env_is_kernel(const struct skep_env *env, uint64_t addr)
{
    struct env_mem m;

    return find_world(env, addr, &m) && m.kind == ENV_MEM_KERNEL;
}

/* Memory of the world is everybody's: what a run writes there is a copy of its own. */
static unsigned char *write_world(struct skep_env *env, uint64_t addr, uint64_t size, enum env_mem_kind kind)
{
    struct env_mem m, *more;

    if (!find_world(env, addr, &m) || m.kind != kind || !fits(&m, addr, size))
        return NULL;
    if (kind == ENV_MEM_USER && !(m.access & ENV_WRITE))
        return NULL;
    for (uint32_t i = 0; i < env->n_own_mems; i++)
        if (env->own_mems[i].host == m.host)
            return m.host + (addr - m.guest);
    more = realloc(env->own_mems, (env->n_own_mems + 1) * sizeof(*more));
    if (!more)
        return NULL;
    env->own_mems = more;
    more[env->n_own_mems] = m;
    more[env->n_own_mems].host = malloc(m.size);
    if (!more[env->n_own_mems].host)
        return NULL;
    memcpy(more[env->n_own_mems].host, m.host, m.size);
    return more[env->n_own_mems++].host + (addr - m.guest);
}

/* A map as the kernel's struct of it. */
static bool find_map_object(struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    const struct map *map = NULL;

    for (uint32_t i = 0; env->code && i < env->code->prog->n_maps && !map; i++)
        if (env->code->maps[i] && addr - (uintptr_t)env->code->maps[i] < MAP_OBJECT_ROOM)
            map = env->code->maps[i];
    for (uint32_t i = n_inner(env); i-- > 0 && !map;)
        if (addr - (uintptr_t)env->inner[i] < MAP_OBJECT_ROOM)
            map = env->inner[i];
    if (!map || !env_show_map(env, map, env->shown_map, sizeof(env->shown_map)))
        return false;
    put_home(m, map, sizeof(env->shown_map), ENV_READ, ENV_MEM_RAW, "struct bpf_map");
    m->host = env->shown_map;
    return true;
}

unsigned char *env_write_user(struct skep_env *env, uint64_t addr, uint64_t size)
{
    return write_world(env, addr, size, ENV_MEM_USER);
}

/* What bounds this address, allowed or not. */
static bool find(struct skep_env *env, uint64_t addr, struct env_mem *m)
{
    if (find_stack(env, addr, m) || find_packet(env, addr, m))
        return true;
    for (uint32_t i = 0; i < env->n_refs; i++) {
        put_home(m, (void *)(uintptr_t)env->refs[i].addr, env->refs[i].size, ENV_READ | ENV_WRITE, ENV_MEM_RECORD,
                 "record");
        if (holds(m, addr))
            return true;
    }
    for (uint32_t i = 0; i < env->n_mems; i++)
        if (holds(&env->mems[i], addr)) {
            *m = env->mems[i];
            return true;
        }
    return find_ctx(env, addr, m) || find_sock(env, addr, m) || find_map_value(env, addr, m) || find_object(addr, m) ||
           find_world(env, addr, m) || find_map_object(env, addr, m);
}

/* Programs whose arguments have types follow pointers to the kernel's structures themselves. */
static bool has_typed_args(const struct skep_env *env)
{
    return env->code && env->code->prog->type && env->code->prog->type->traits & PROG_TYPED_ARGS;
}

/* Methods of struct_ops write to the kernel's structures. */
static bool is_method(const struct skep_env *env)
{
    return env->code && env->code->prog->type && env->code->prog->type->id == PROG_TYPE_STRUCT_OPS;
}

static bool allowed(const struct skep_env *env, const struct env_mem *m, uint64_t addr, uint64_t size, unsigned access)
{
    if (!fits(m, addr, size) || (m->access & access) != access)
        return false;
    if (m->kind == ENV_MEM_CTX)
        return size <= UINT32_MAX && ctx_part_ok(env, addr, size, access);
    if (m->kind == ENV_MEM_KERNEL && access == ENV_READ && has_typed_args(env))
        return true;
    if (m->kind == ENV_MEM_KERNEL || m->kind == ENV_MEM_USER)
        return m->access & ENV_DIRECT;
    return true;
}

void *env_find_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access)
{
    struct env_mem m;

    if (!size) /* nothing will be touched; the stack is as good an address as any */
        return env->stack;
    if (!find(env, addr, &m))
        return NULL;
    if (!allowed(env, &m, addr, size, access))
        return is_method(env) && m.kind == ENV_MEM_KERNEL ? write_world(env, addr, size, ENV_MEM_KERNEL) : NULL;
    return m.host + (addr - m.guest);
}

bool env_is_lock(struct skep_env *env, uint64_t addr)
{
    struct env_mem m;

    return addr % 4 == 0 && find(env, addr, &m) && m.guest == (uintptr_t)m.host &&
           ((m.name == lock_name && m.guest == addr) || allowed(env, &m, addr, 4, ENV_READ | ENV_WRITE));
}

void *env_find_window(struct skep_env *env, uint64_t addr, uint32_t size, unsigned access, struct env_window *window)
{
    struct env_mem m;

    if (!find(env, addr, &m))
        return NULL;
    if (!allowed(env, &m, addr, size, access))
        return is_method(env) && m.kind == ENV_MEM_KERNEL ? write_world(env, addr, size, ENV_MEM_KERNEL) : NULL;
    if (m.guest == (uintptr_t)m.host && m.kind != ENV_MEM_STACK &&
        (m.kind != ENV_MEM_CTX || !env->ctx_layout || !env->ctx_layout->n_fields)) {
        window->base = m.guest;
        window->limit = m.size - size + 1;
    } else if (m.kind == ENV_MEM_CTX) {
        window->base = addr;
        window->limit = 1;
    }
    return m.host + (addr - m.guest);
}

const void *env_probe(struct skep_env *env, uint64_t addr, uint64_t size, enum env_mem_kind kind)
{
    struct env_mem m;

    if (!size)
        return env->stack;
    if (!find(env, addr, &m) || !fits(&m, addr, size) || !(m.access & ENV_READ))
        return NULL;
    if ((m.kind == ENV_MEM_KERNEL || m.kind == ENV_MEM_USER) && m.kind != kind)
        return NULL;
    return m.host + (addr - m.guest);
}

struct map *env_find_map(struct skep_env *env, uint64_t addr)
{
    const struct code *code = env->code;

    for (uint32_t i = 0; i < code->prog->n_maps; i++)
        if (addr == (uintptr_t)code->maps[i] && addr)
            return code->maps[i];
    for (uint32_t i = n_inner(env); i-- > 0;)
        if (addr == (uintptr_t)env->inner[i])
            return env->inner[i];
    return NULL;
}

/* What a refused address is compared with, so that a report can say what lies near. */
struct near {
    uint64_t addr, size;
    uint64_t dist; /* of the nearest so far */
    char text[160];
};

static const char *noun(const struct env_mem *m)
{
    switch (m->kind) {
    case ENV_MEM_MAP: return "map value";
    case ENV_MEM_CTX: return "context field";
    default: return "memory";
    }
}

static void consider(struct near *n, const struct env_mem *m)
{
    uint64_t end = m->guest + m->size, dist;
    bool below = n->addr < m->guest;
    char what[96];

    if (!m->size)
        return;
    dist = below ? m->guest - n->addr : n->addr >= end ? n->addr - end : 0;
    if (dist >= n->dist)
        return;
    n->dist = dist;
    if (m->kind == ENV_MEM_MAP)
        snprintf(what, sizeof(what), "map '%s' value of %llu bytes", m->name, (unsigned long long)m->size);
    else
        snprintf(what, sizeof(what), "%s%s%s%s of %llu bytes", m->name ? "" : noun(m), m->name ? m->name : "",
                 m->kind == ENV_MEM_CTX && m->name && strcmp(m->name, "context") ? " (context field)" : "", "",
                 (unsigned long long)m->size);
    if (below)
        snprintf(n->text, sizeof(n->text), "%llu bytes before the start of %s", (unsigned long long)dist, what);
    else if (n->addr >= end)
        snprintf(n->text, sizeof(n->text), "%llu bytes past the end of %s", (unsigned long long)dist, what);
    else
        snprintf(n->text, sizeof(n->text), "at byte %llu of %s", (unsigned long long)(n->addr - m->guest), what);
}

/* Maps tell only what holds an address, so ask a little to both sides. */
static void consider_map(struct near *n, struct map *map)
{
    static const uint64_t steps[] = {0, 1, 8, 64, 512, 4096};
    struct env_mem m;

    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (find_in_map(map, n->addr - steps[i], &m))
            consider(n, &m);
        if (find_in_map(map, n->addr + steps[i], &m))
            consider(n, &m);
    }
}

static void look_around(struct skep_env *env, struct near *n)
{
    struct env_mem m = stack_of(env);

    consider(n, &m);
    m = packet_of(env);
    consider(n, &m);
    if (env->ctx) {
        m = at_home(env->ctx, env->ctx_size, 0, ENV_MEM_CTX, "context");
        consider(n, &m);
    }
    for (uint32_t i = 0; i < env->n_refs; i++) {
        m = at_home((void *)(uintptr_t)env->refs[i].addr, env->refs[i].size, 0, ENV_MEM_RECORD, "record");
        consider(n, &m);
    }
    for (uint32_t i = 0; i < env->n_mems; i++)
        consider(n, &env->mems[i]);
    for (uint32_t i = 0; i < ENV_MEM_CACHE; i++)
        consider(n, &env->cache[i]);
    for (uint32_t i = 0; env->code && i < env->code->prog->n_maps; i++)
        consider_map(n, env->code->maps[i]);
    for (uint32_t i = 0; i < n_inner(env); i++)
        consider_map(n, env->inner[i]);
    for (uint32_t i = 0; i < env->n_world_mems && i < 4096; i++)
        consider(n, &env->world_mems[i]);
}

uint64_t env_trap_mem(struct skep_env *env, uint64_t addr, uint64_t size, unsigned access)
{
    struct near n = {.addr = addr, .size = size, .dist = 1 << 16};
    const char *verb = access & ENV_WRITE ? access & ENV_READ ? "update" : "write" : "read";
    enum trap_kind kind = TRAP_mem_out_of_bounds;
    uint32_t size32 = size > UINT32_MAX ? UINT32_MAX : (uint32_t)size;
    struct env_mem m;

    if (env->trap.kind != TRAP_none)
        return 0;
    look_around(env, &n);
    if (addr < 4096 && addr + size <= 8192)
        return env_trap(env, TRAP_null_pointer, addr, size32, "%s of %llu bytes at 0x%llx", verb,
                        (unsigned long long)size, (unsigned long long)addr);
    if (env->ctx_layout && env->ctx && addr - (uintptr_t)env->ctx < env->ctx_size) {
        kind = TRAP_ctx_access;
        uint64_t off = addr - (uintptr_t)env->ctx;
        const struct ctx_layout *layout = env->ctx_layout;
        return env_trap(env, kind, addr, size32, "%s of %llu bytes at offset %llu of %s%s%s", verb,
                        (unsigned long long)size, (unsigned long long)off, layout ? layout->name : "the context",
                        find_ctx(env, addr, &m) && layout && layout->n_fields ? ", field " : "",
                        layout && layout->n_fields && find_ctx(env, addr, &m) ? m.name : "");
    }
    if (find(env, addr, &m) && fits(&m, addr, size)) {
        if (m.kind == ENV_MEM_KERNEL || m.kind == ENV_MEM_USER) {
            if (!(m.access & ENV_DIRECT))
                return env_trap(env, kind, addr, size32,
                                "%s of %llu bytes at 0x%llx, %s: only probe_read may read this memory", verb,
                                (unsigned long long)size, (unsigned long long)addr, n.text);
        }
        if (access & ENV_WRITE && !(m.access & ENV_WRITE))
            kind = TRAP_mem_read_only;
    }
    return env_trap(env, kind, addr, size32, "%s of %llu bytes at 0x%llx%s%s", verb, (unsigned long long)size,
                    (unsigned long long)addr, n.text[0] ? ", " : "", n.text);
}
