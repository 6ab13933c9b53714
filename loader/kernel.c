/*
 * From an object to Linux: libbpf opens the same bytes that our reader took, is told what was changed since, and loads.
 * maps[i] and progs[i] stand for obj->maps[i] and obj->progs[i]; NULL where libbpf knows none of that name.
 */
#include "loader/kernel.h"
#include "loader/load.h"
#include "vm/abi/map_types.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kernel_object {
    struct bpf_object *bpf;
    struct bpf_map **maps;
    struct bpf_program **progs;
    uint32_t n_maps, n_progs;
};

/* ---- libbpf's words ---- */

static pthread_mutex_t listening = PTHREAD_MUTEX_INITIALIZER;
static struct {
    _Atomic(struct buf *) heard; /* NULL: nobody listens */
    pthread_t thread;
    libbpf_print_fn_t before;
} ear;

__attribute__((format(printf, 2, 0))) static int hear(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    struct buf *heard = ear.heard;
    if (!heard || !pthread_equal(ear.thread, pthread_self()))
        return ear.before ? ear.before(level, fmt, ap) : 0;
    if (level == LIBBPF_WARN)
        buf_vprintf(heard, fmt, ap);
    return 0;
}

void kernel_listen(struct buf *heard)
{
    pthread_mutex_lock(&listening);
    ear.thread = pthread_self();
    ear.heard = heard;
    ear.before = libbpf_set_print(hear);
}

void kernel_listen_end(void)
{
    libbpf_set_print(ear.before);
    ear.heard = NULL;
    pthread_mutex_unlock(&listening);
}

void kernel_refusal_free(struct kernel_refusal *why)
{
    buf_free(&why->log);
    buf_free(&why->said);
}

/* ---- Telling libbpf what was changed ---- */

static struct bpf_map *find_map(struct bpf_object *bpf, const struct object_map *m)
{
    return bpf_object__find_map_by_name(bpf, m->internal ? m->section : m->def.name);
}

/* Functions of one name may stand in several sections. */
static struct bpf_program *find_prog(struct bpf_object *bpf, const struct object_prog *p)
{
    struct bpf_program *prog;
    bpf_object__for_each_program(prog, bpf)
    {
        const char *section = bpf_program__section_name(prog);
        if (!strcmp(bpf_program__name(prog), p->name) &&
            (!strcmp(section, p->section) || (*section == '?' && !strcmp(section + 1, p->section)) ||
             (*p->section == '?' && !strcmp(section, p->section + 1))))
            return prog;
    }
    return NULL;
}

static int set_data(struct bpf_map *map, const struct object_map *m)
{
    size_t size = 0;
    const void *have = bpf_map__initial_value(map, &size);
    if (!m->data || !have || size != m->def.value_size || !memcmp(have, m->data, size) ||
        !strcmp(m->section, ".kconfig"))
        return 0;
    return bpf_map__set_initial_value(map, m->data, size);
}

static int set_map(struct bpf_map *map, const struct object_map *m, int reuse)
{
    const struct map_def *def = &m->def;
    int err = 0;
    if (m->ifindex && (err = bpf_map__set_ifindex(map, m->ifindex)))
        return err;
    if (m->internal)
        return set_data(map, m);
    if (bpf_map__key_size(map) != def->key_size)
        err = bpf_map__set_key_size(map, def->key_size);
    if (!err && bpf_map__value_size(map) != def->value_size)
        err = bpf_map__set_value_size(map, def->value_size);
    if (!err && bpf_map__max_entries(map) != def->max_entries)
        err = bpf_map__set_max_entries(map, def->max_entries);
    if (!err && bpf_map__map_flags(map) != def->flags)
        err = bpf_map__set_map_flags(map, def->flags);
    if (!err && reuse >= 0)
        err = bpf_map__reuse_fd(map, reuse);
    return err;
}

static int set_prog(struct bpf_program *prog, const struct object_prog *p)
{
    int err = bpf_program__set_autoload(prog, p->autoload);
    if (!err && p->type && bpf_program__type(prog) != p->type)
        err = bpf_program__set_type(prog, p->type);
    if (!err && p->type && bpf_program__expected_attach_type(prog) != p->attach_type && p->attach_type)
        err = bpf_program__set_expected_attach_type(prog, p->attach_type);
    if (!err && p->ifindex)
        bpf_program__set_ifindex(prog, p->ifindex);
    return err;
}

static int prepare(struct kernel_object *k, const struct object *obj, const struct kernel_opts *opts)
{
    int err = 0;
    for (uint32_t i = 0; i < obj->n_maps && !err; i++) {
        struct bpf_map *map = k->maps[i] = find_map(k->bpf, &obj->maps[i]);
        if (!map)
            continue;
        err = bpf_map__set_autocreate(map, obj->maps[i].autocreate);
        if (!err)
            err = set_map(map, &obj->maps[i], opts->reuse ? opts->reuse[i] : -1);
        if (!opts->pin_root)
            bpf_map__set_pin_path(map, NULL);
    }
    for (uint32_t i = 0; i < obj->n_progs && !err; i++) {
        k->progs[i] = find_prog(k->bpf, &obj->progs[i]);
        if (k->progs[i])
            err = set_prog(k->progs[i], &obj->progs[i]);
    }
    return err;
}

/* ---- Loading ---- */

static struct kernel_object *new_object(const struct object *obj)
{
    struct kernel_object *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->n_maps = obj->n_maps;
    k->n_progs = obj->n_progs;
    k->maps = calloc((size_t)obj->n_maps + 1, sizeof(struct bpf_map *));
    k->progs = calloc((size_t)obj->n_progs + 1, sizeof(struct bpf_program *));
    if (k->maps && k->progs)
        return k;
    kernel_close(k);
    return NULL;
}

/*
 * libbpf asks the verifier for a log once it has refused, and prints it between two lines that name the program. To
 * give it memory of ours for that would cost every load, not only those that fail.
 */
static int32_t refused(const struct object *obj, struct kernel_refusal *why)
{
    static const char begins[] = ": -- BEGIN PROG LOAD LOG --\n", ends[] = "-- END PROG LOAD LOG --";
    const char *text = buf_text(&why->said), *log = strstr(text, begins), *name = log, *end;
    if (!log)
        return -1;
    while (name > text && name[-1] != '\n')
        name--;
    name = strchr(name, '\'');
    log += sizeof(begins) - 1;
    end = strstr(log, ends);
    if (!name || name++ > log)
        return -1;
    while (end && end > log && end[-1] != '\n')
        end--;
    for (uint32_t i = 0; i < obj->n_progs; i++) {
        size_t len = strlen(obj->progs[i].name);
        if (strncmp(name, obj->progs[i].name, len) || name[len] != '\'')
            continue;
        buf_add(&why->log, log, end ? (size_t)(end - log) : strlen(log));
        return (int32_t)i;
    }
    return -1;
}

static int open_and_load(struct kernel_object *k, const struct object *obj, const struct kernel_opts *opts,
                         struct kernel_refusal *why)
{
    LIBBPF_OPTS(bpf_object_open_opts, open, .object_name = obj->name, .kconfig = opts->kconfig,
                .btf_custom_path = opts->btf_path, .pin_root_path = opts->pin_root);
    const struct elf *elf = &obj->elf->elf;
    void *older = kernel_older_image(obj);
    k->bpf = bpf_object__open_mem(older ? older : elf->image, elf->size, &open);
    int err = k->bpf ? 0 : -errno;
    free(older); /* libbpf keeps none of it */
    if (err)
        return err;
    err = prepare(k, obj, opts);
    if (!err)
        err = kernel_prepare_struct_ops(k->bpf, obj);
    if (!err)
        err = bpf_object__load(k->bpf);
    if (err)
        why->prog = refused(obj, why);
    return err;
}

int kernel_load(const struct object *obj, const struct kernel_opts *opts, const struct log *log,
                struct kernel_refusal *why, struct kernel_object **out)
{
    *why = (struct kernel_refusal){.prog = -1};
    struct kernel_object *k = new_object(obj);
    if (!k)
        return log_fail(log, -ENOMEM, "out of memory");
    kernel_listen(&why->said);
    int err = open_and_load(k, obj, opts, why);
    kernel_listen_end();
    if (err) {
        kernel_close(k);
        return err;
    }
    if (why->said.len)
        log_debug(log, "%s", buf_text(&why->said));
    *out = k;
    return 0;
}

void kernel_close(struct kernel_object *k)
{
    if (!k)
        return;
    bpf_object__close(k->bpf);
    free(k->maps);
    free(k->progs);
    free(k);
}

int kernel_map_fd(const struct kernel_object *k, uint32_t map)
{
    int fd = k->maps[map] ? bpf_map__fd(k->maps[map]) : -1;
    return fd < 0 ? -1 : fd;
}

uint32_t kernel_map_max_entries(const struct kernel_object *k, uint32_t map)
{
    return bpf_map__max_entries(k->maps[map]);
}

int kernel_prog_fd(const struct kernel_object *k, uint32_t prog)
{
    int fd = k->progs[prog] ? bpf_program__fd(k->progs[prog]) : -1;
    return fd < 0 ? -1 : fd;
}

uint32_t kernel_cpus(void)
{
    int n = libbpf_num_possible_cpus();
    return n > 0 ? (uint32_t)n : 1;
}

struct bpf_object *kernel_bpf(const struct kernel_object *k)
{
    return k->bpf;
}

struct bpf_program *kernel_bpf_prog(const struct kernel_object *k, uint32_t prog)
{
    return k->progs[prog];
}
