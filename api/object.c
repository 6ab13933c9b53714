/*
 * The life of an object: open, load, clone, close. An instance is made complete before anybody sees it: wrappers of all
 * maps and programs exist from open on, in the loader's order, and load fills them in. A failure during load leaves the
 * object broken: it can be looked at and closed.
 */
#include "api/object.h"
#include "vm/abi/map_types.h"
#include "vm/maps/arena.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- Opening and closing ---- */

static void unload(struct skep_object *o)
{
    /* Tables of programs first: what they hold may hold the other maps. */
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        map_unuse(&o->maps[i]);
    for (uint32_t i = 0; i < o->obj->n_progs; i++)
        if (o->progs[i].code)
            code_put(o->progs[i].code);
}

static void put_share(struct object_share *share)
{
    if (share && atomic_fetch_sub_explicit(&share->refs, 1, memory_order_acq_rel) == 1) {
        for (uint32_t i = 0; share->judged && i < share->obj->n_progs; i++)
            judgement_free(&share->judged[i]);
        free(share->judged);
        object_free(share->obj);
        free(share);
    }
}

void skep_object__close(struct skep_object *o)
{
    if (!o)
        return;
    if (o->maps && o->progs)
        o->backend->close(o);
    free(o->kconfig);
    free(o->pin_root);
    free(o->maps);
    free(o->progs);
    free(o->btf_path);
    put_share(o->share);
    skep_vm__free(o->vm);
    free(o);
}

/* Makes an instance around a share, of which it takes a reference. @return NULL: out of memory. */
static struct skep_object *new_instance(struct object_share *share, struct skep_vm *vm,
                                        const struct object_backend *backend)
{
    struct skep_object *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    atomic_fetch_add_explicit(&share->refs, 1, memory_order_relaxed);
    o->backend = backend;
    o->share = share;
    o->obj = share->obj;
    o->vm = vm_get(vm);
    o->maps = calloc((size_t)o->obj->n_maps + 1, sizeof(*o->maps));
    o->progs = calloc((size_t)o->obj->n_progs + 1, sizeof(*o->progs));
    if (!o->maps || !o->progs) {
        skep_object__close(o);
        return NULL;
    }
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        o->maps[i] = (struct skep_map){.vm = vm, .def = &o->obj->maps[i].def, .object = o, .index = i};
    for (uint32_t i = 0; i < o->obj->n_progs; i++) {
        const struct object_prog *p = &o->obj->progs[i];
        o->progs[i] = (struct skep_program){
            .vm = vm, .name = p->name, .type = p->type, .n_insns = p->n_insns, .object = o, .index = i};
    }
    return o;
}

static bool copy_text(char **to, const char *from)
{
    return !from || (*to = strdup(from));
}

/* Takes over obj, also when it fails. */
static struct skep_object *wrap(struct object *obj, struct skep_vm *vm, const struct object_backend *backend,
                                const struct skep_object_open_opts *opts)
{
    struct object_share *share = calloc(1, sizeof(*share));
    if (!share) {
        object_free(obj);
        return fail_null(-ENOMEM);
    }
    atomic_init(&share->refs, 1);
    share->obj = obj;
    struct skep_object *o = new_instance(share, vm, backend);
    put_share(share);
    if (o && (!copy_text(&o->btf_path, opts->btf_custom_path) || !copy_text(&o->kconfig, opts->kconfig) ||
              !copy_text(&o->pin_root, opts->pin_root_path))) {
        skep_object__close(o);
        o = NULL;
    }
    return o ? o : fail_null(-ENOMEM);
}

static struct skep_object *open_object(const char *path, const void *data, size_t size,
                                       const struct skep_object_open_opts *user)
{
    struct skep_object_open_opts opts;
    if (!opts_read(&opts, sizeof(opts), user))
        return fail_null(-EINVAL);
    struct skep_vm *vm = opts.vm ? vm_get(opts.vm) : skep_vm__new(opts.vm_opts);
    if (!vm)
        return NULL;
    const struct object_backend *backend = backend_find(opts.backend);
    if (!backend) {
        int err = opts.backend == SKEP_BACKEND_KERNEL
                      ? log_fail(&vm->log, -EOPNOTSUPP,
                                 "this skep was built without libbpf and cannot hand objects to Linux; build it where "
                                 "libbpf's headers are installed (libbpf-dev)")
                      : -EINVAL;
        skep_vm__free(vm);
        return fail_null(err);
    }
    struct object_open_opts how = {.name = opts.object_name, .kconfig = opts.kconfig, .max_size = opts.max_size};
    struct object *obj = NULL;
    int err = path ? object_open_file(path, &how, &vm->log, &obj)
                   : object_open_mem(data, size, opts.object_name ? opts.object_name : "memory", &how, &vm->log, &obj);
    struct skep_object *o = err ? fail_null(err) : wrap(obj, vm, backend, &opts);
    int saved = errno;
    skep_vm__free(vm);
    errno = saved;
    return o;
}

struct skep_object *skep_object__open_file(const char *path, const struct skep_object_open_opts *opts)
{
    return path ? open_object(path, NULL, 0, opts) : fail_null(-EINVAL);
}

struct skep_object *skep_object__open(const char *path)
{
    return skep_object__open_file(path, NULL);
}

struct skep_object *skep_object__open_mem(const void *obj_buf, size_t obj_buf_sz,
                                          const struct skep_object_open_opts *opts)
{
    return obj_buf ? open_object(NULL, obj_buf, obj_buf_sz, opts) : fail_null(-EINVAL);
}

/* ---- Maps of an instance ---- */

/* What libbpf adjusts before it asks Linux: a perf array has an entry for each CPU, a ring is whole pages and a power
 * of two. */
static void adjust(struct map_def *def, const struct skep_vm *vm)
{
    if (def->type == MAP_TYPE_PERF_EVENT_ARRAY && !def->max_entries)
        def->max_entries = vm->n_cpus;
    if (def->type == MAP_TYPE_RINGBUF && def->max_entries) {
        uint64_t size = sysconf(_SC_PAGESIZE);
        while (size < def->max_entries && size < 1u << 31)
            size *= 2;
        def->max_entries = (uint32_t)size;
    }
}

bool object_map_is_constant(const struct object_map *m)
{
    return m->internal && (!strncmp(m->section, ".rodata", 7) || !strcmp(m->section, ".kconfig"));
}

static int fill_data(struct map *map, const struct object_map *m)
{
    uint32_t zero = 0;
    int err = m->data ? map_host_update(map, &zero, m->data, MAP_ANY) : 0;
    return !err && object_map_is_constant(m) ? map_freeze(map) : err;
}

static int fill_arena(struct map *map, const struct object_map *m)
{
    uint64_t start = map_arena_start(map), pages = (m->arena_size + ARENA_PAGE - 1) / ARENA_PAGE;
    if (!pages)
        return 0;
    if (!map_arena_alloc(map, start, (uint32_t)pages))
        return -ENOMEM;
    memcpy(map_arena_touch(map, start, m->arena_size), m->data, m->arena_size);
    return 0;
}

static int create_map(struct skep_object *o, uint32_t i, const struct log *log)
{
    struct object_map *m = &o->obj->maps[i];
    struct map *map;
    int err = map_create(&m->def, o->vm->n_cpus, log, &map);
    if (err)
        return err;
    vm_adopt(o->vm, map);
    err = m->internal ? fill_data(map, m) : m->def.type == MAP_TYPE_ARENA ? fill_arena(map, m) : 0;
    if (!err)
        map_use(&o->maps[i], map);
    map_put(map);
    return err ? log_fail(log, err, "map '%s': cannot set its initial value: %s", m->def.name, strerror(-err)) : 0;
}

static int create_maps(struct skep_object *o, const struct log *log)
{
    int err = 0;
    for (uint32_t i = 0; i < o->obj->n_maps && !err; i++)
        if (o->obj->maps[i].autocreate && !o->maps[i].map)
            err = create_map(o, i, log);
    return err;
}

/* ---- What stands in maps of maps and of programs ---- */

static int init_slot(struct skep_object *o, struct skep_map *map, const struct object_map_init *init,
                     const struct log *log)
{
    int err = 0;
    if (init->map >= 0 && (uint32_t)init->map < o->obj->n_maps && o->maps[init->map].map)
        err = map_set_thing(map->map, &init->key, o->maps[init->map].map, 0);
    else if (init->prog >= 0 && (uint32_t)init->prog < o->obj->n_progs && o->progs[init->prog].code)
        err = skep_map__set_program(map, init->key, &o->progs[init->prog]);
    return err ? log_fail(log, err, "map '%s': cannot set slot %u: %s", map->def->name, init->key, strerror(-err)) : 0;
}

static int init_slots(struct skep_object *o, bool programs, const struct log *log)
{
    int err = 0;
    for (uint32_t i = 0; i < o->obj->n_maps; i++) {
        const struct object_map *m = &o->obj->maps[i];
        if (!o->maps[i].map || (m->def.type == MAP_TYPE_PROG_ARRAY) != programs)
            continue;
        for (uint32_t k = 0; k < m->n_init && !err; k++)
            err = init_slot(o, &o->maps[i], &m->init[k], log);
    }
    return err;
}

/* ---- Programs of an instance ---- */

static bool uses_map(const struct prog *prog, uint32_t index)
{
    for (uint32_t i = 0; i < prog->n_insns; i++) {
        const struct insn *insn = &prog->insns[i];
        if ((insn->op == ISA_LD_MAP_FD || insn->op == ISA_LD_MAP_IDX) && (uint64_t)insn->imm == index)
            return true;
    }
    return false;
}

static int lower(struct skep_object *o, uint32_t i, struct map *const *maps, const struct log *log)
{
    struct skep_program *p = &o->progs[i];
    struct prog *prog = o->obj->progs[i].prog;
    int err = program_lower(o->vm, prog, maps, &o->exec, &o->share->judged[i], log, &p->code);
    if (err)
        return err;
    p->ops = &user_program;
    p->explored = o->share->judged[i].explored;
    for (uint32_t m = 0; m < o->obj->n_maps && !err; m++)
        if (o->maps[m].map && o->maps[m].def->type == MAP_TYPE_PROG_ARRAY && uses_map(prog, m))
            err = map_claim(&o->maps[m], p->code);
    return err;
}

static int lower_all(struct skep_object *o, const struct log *log)
{
    struct map **maps = calloc((size_t)o->obj->n_maps + 1, sizeof(*maps));
    if (!maps)
        return -ENOMEM;
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        maps[i] = o->maps[i].map;
    int err = 0;
    for (uint32_t i = 0; i < o->obj->n_progs && !err; i++)
        if (o->obj->progs[i].prog)
            err = lower(o, i, maps, log);
    free(maps);
    return err;
}

/* ---- Verification ---- */

struct constants {
    const struct skep_object *o;
    const struct prog *prog;
};

/* Read-only data cannot change once it is loaded: its bytes are constants, unless another object's map stands for it.
 */
static bool read_const(void *ctx, const struct map_def *map, uint64_t off, unsigned size, uint64_t *value)
{
    const struct constants *c = ctx;
    int32_t i = prog_map_index(c->prog, map);
    return i >= 0 && !c->o->maps[i].reused && object_map_constant(&c->o->obj->maps[i], off, size, value);
}

static bool has_prog_array(const struct object *obj)
{
    for (uint32_t i = 0; i < obj->n_maps; i++)
        if (obj->maps[i].def.type == MAP_TYPE_PROG_ARRAY)
            return true;
    return false;
}

/* Programs that enter one another through a PROG_ARRAY run alike: when one is checked, all are. */
static void run_alike(struct judgement *judged, uint32_t n)
{
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        any |= judged[i].checked && !judged[i].explored;
    for (uint32_t i = 0; i < n && any; i++) {
        judged[i].checked = true;
        judgement_free(&judged[i]);
    }
}

static int judge(struct skep_object *o, const struct log *log)
{
    int err = 0;
    o->share->judged = calloc((size_t)o->obj->n_progs + 1, sizeof(*o->share->judged));
    if (!o->share->judged)
        return -ENOMEM;
    for (uint32_t i = 0; i < o->obj->n_progs && !err; i++) {
        struct constants constants = {.o = o, .prog = o->obj->progs[i].prog};
        struct verify_opts rules = {.read_const = read_const, .read_const_ctx = &constants};
        if (constants.prog)
            err = program_judge(constants.prog, &o->exec, &rules, log, &o->share->judged[i]);
        o->refused = err == -EACCES;
    }
    if (!err && has_prog_array(o->obj))
        run_alike(o->share->judged, o->obj->n_progs);
    return err;
}

/* ---- Loading ---- */

static int start(struct skep_object *o, const struct log *log)
{
    int err = init_slots(o, false, log);
    if (!err)
        err = lower_all(o, log);
    return err ? err : init_slots(o, true, log);
}

/* A world's symbols stand in for the running kernel's, of which there may be none to see. */
static uint64_t world_ksym(void *ctx, const char *name, bool *found)
{
    uint64_t addr = 0;
    *found = world_symbol(ctx, name, &addr);
    return addr;
}

static int load_here(struct skep_object *o, const struct log *log)
{
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        adjust(&o->obj->maps[i].def, o->vm);
    int err = create_maps(o, log);
    if (err)
        return err;
    struct object_link_opts link = {.btf_path = o->btf_path, .helpers = &o->vm->helpers, .lenient = o->exec.lenient};
    if (o->vm->world && (o->vm->world->n_symbols || o->vm->world->n_variables)) {
        link.ksym = world_ksym;
        link.ksym_ctx = o->vm->world;
        link.ksym_also_here = !o->vm->world->n_symbols;
    }
    err = object_link(o->obj, &link, log);
    if (err)
        return err;
    for (uint32_t i = 0; i < o->obj->n_progs; i++)
        o->progs[i].n_insns = o->obj->progs[i].n_insns;
    err = judge(o, log);
    return err ? err : start(o, log);
}

static int clone_here(struct skep_object *o, const struct skep_object *from, const struct log *log)
{
    for (uint32_t i = 0; i < o->obj->n_maps; i++)
        if (from->maps[i].reused)
            map_use(&o->maps[i], from->maps[i].map);
    int err = create_maps(o, log);
    return err ? err : start(o, log);
}

static int reuse_here(struct skep_map *map, const struct skep_map *other)
{
    map_unuse(map);
    map_use(map, other->map);
    return 0;
}

const struct object_backend user_backend = {.id = SKEP_BACKEND_USER,
                                            .maps = &user_map,
                                            .load = load_here,
                                            .clone = clone_here,
                                            .reuse = reuse_here,
                                            .close = unload};

int skep_object__load_opts(struct skep_object *o, const struct skep_exec_opts *user)
{
    if (!o || o->state != OBJECT_OPEN)
        return o ? -EBUSY : -EINVAL;
    struct skep_exec_opts exec;
    if (!opts_read(&exec, sizeof(exec), user))
        return -EINVAL;
    const struct engine *engine = exec.engine ? engine_find(exec.engine) : NULL;
    struct log log = LOG_AT(&o->vm->log, o->obj->path);
    if (exec.engine && !engine)
        return log_fail(&log, -EINVAL, "there is no engine '%s'", exec.engine);
    exec.engine = engine ? engine->name : NULL;
    o->exec = exec;
    int err = o->backend->load(o, &log);
    o->state = err ? OBJECT_BROKEN : OBJECT_LOADED;
    return err;
}

int skep_object__load(struct skep_object *o)
{
    return skep_object__load_opts(o, NULL);
}

struct skep_object *skep_object__clone(const struct skep_object *from)
{
    if (!from || from->state != OBJECT_LOADED)
        return fail_null(-EINVAL);
    struct skep_object *o = new_instance(from->share, from->vm, from->backend);
    if (!o)
        return fail_null(-ENOMEM);
    struct log log = LOG_AT(&o->vm->log, o->obj->path);
    o->exec = from->exec;
    int err = o->backend->clone(o, from, &log);
    if (err) {
        skep_object__close(o);
        return fail_null(err);
    }
    o->state = OBJECT_LOADED;
    return o;
}

/* ---- What it is ---- */

const char *skep_object__name(const struct skep_object *o)
{
    return o->obj->name;
}

const char *skep_object__license(const struct skep_object *o)
{
    return o->obj->license;
}

unsigned skep_object__kversion(const struct skep_object *o)
{
    return o->obj->kern_version;
}

uint32_t skep_object__backend(const struct skep_object *o)
{
    return o->backend->id;
}

struct skep_vm *skep_object__vm(const struct skep_object *o)
{
    return o->vm;
}

bool skep_object__has_btf(const struct skep_object *o)
{
    return o->obj->btf != NULL;
}
