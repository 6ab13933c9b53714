/*
 * Opening an object: its bytes are copied into the arena (names and code keep pointing there) and read step by step,
 * each step adding to the object; whatever fails frees all of it. The arena's limit bounds what one file can make us
 * take.
 */
#include "loader/load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_LEN = 16, LICENSE_LEN = 64 };

struct load_btf *load_btf_get(struct load_btf *btf)
{
    __atomic_fetch_add(&btf->refs, 1, __ATOMIC_RELAXED);
    return btf;
}

void load_btf_put(void *owner)
{
    struct load_btf *btf = owner;

    if (!btf || __atomic_sub_fetch(&btf->refs, 1, __ATOMIC_ACQ_REL))
        return;
    field_table_put(btf->fields);
    if (!btf->borrowed)
        btf_free(btf->btf);
    free(btf);
}

/* As libbpf names an object: the file's name up to its first dot, in Linux's 15 characters. */
static const char *name_from(struct arena *arena, const char *path)
{
    const char *base = strrchr(path, '/');
    size_t n;

    base = base ? base + 1 : path;
    n = strcspn(base, ".");
    return arena_strndup(arena, base, n < NAME_LEN ? n : NAME_LEN - 1);
}

static int read_license(struct object *obj)
{
    const struct elf_section *s = elf_section_by_name(&obj->elf->elf, "license");

    obj->license = "";
    if (s && s->data)
        obj->license = arena_strndup(&obj->arena, (const char *)s->data,
                                     strnlen((const char *)s->data, s->size < LICENSE_LEN ? s->size : LICENSE_LEN - 1));
    return obj->license ? 0 : -ENOMEM;
}

static int read_version(struct object *obj, const struct log *log)
{
    const struct elf_section *s = elf_section_by_name(&obj->elf->elf, "version");

    if (!s || !s->data)
        return 0;
    if (s->size != sizeof(obj->kern_version))
        return log_fail(log, -EINVAL, "section 'version': %llu bytes instead of 4", (unsigned long long)s->size);
    memcpy(&obj->kern_version, s->data, sizeof(obj->kern_version));
    return 0;
}

/* Wrong types are a failure, whether or not something needs them: an object that was damaged there is not to be
 * trusted. */
static int read_btf(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct elf_section *s = elf_section_by_name(&e->elf, ".BTF");
    char where[512];
    struct log in = LOG_AT(log, where);
    struct load_btf *btf;
    int err;

    if (!s || !s->data || !s->size)
        return 0;
    snprintf(where, sizeof(where), "%s: section '.BTF'", obj->path);
    btf = malloc(sizeof(*btf) + s->size);
    if (!btf)
        return log_fail(&in, -ENOMEM, "no memory for %llu bytes", (unsigned long long)s->size);
    btf->refs = 1;
    btf->btf = NULL;
    btf->fields = NULL;
    btf->borrowed = false;
    btf->size = s->size;
    memcpy(btf->bytes, s->data, s->size);
    err = btf_parse(btf->bytes, s->size, NULL, true, &in, &btf->btf);
    if (!err)
        err = field_table_read(btf->btf, &in, &btf->fields);
    if (err) {
        load_btf_put(btf);
        return err;
    }
    e->btf = btf;
    obj->btf = btf->btf;
    return 0;
}

static int read_btf_ext(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    const struct elf_section *s = elf_section_by_name(&e->elf, ".BTF.ext");
    char where[512];
    struct log in = LOG_AT(log, where);
    void *bytes;
    int err;

    if (!s || !s->data || !s->size || !obj->btf)
        return 0;
    snprintf(where, sizeof(where), "%s: section '.BTF.ext'", obj->path);
    bytes = arena_memdup(&obj->arena, s->data, s->size); /* aligned, which the file need not be */
    if (!bytes)
        return log_fail(&in, -ENOMEM, "no memory for %llu bytes", (unsigned long long)s->size);
    err = btf_ext_parse(&obj->arena, bytes, s->size, obj->btf, &in, &e->ext);
    if (err)
        return err;
    if (e->ext->n_sections > e->elf.n_sections)
        return log_fail(&in, -EINVAL, "speaks of %u sections, the file has %u", e->ext->n_sections, e->elf.n_sections);
    for (uint32_t i = 1; i < e->elf.n_sections; i++)
        if (elf_is_code(&e->elf.sections[i]))
            e->code[i].ext = btf_ext_find(e->ext, e->elf.sections[i].name);
    return 0;
}

/* Room for the maps of .maps, of each data section and of .kconfig. */
static int make_tables(struct object *obj, const struct log *log)
{
    struct object_elf *e = obj->elf;
    uint32_t n = e->elf.n_sections, id = obj->btf ? btf_find(obj->btf, ".maps", BTF_DATASEC) : 0;

    e->max_maps = n + 1 + load_legacy_count(e) + (id ? btf_vlen(btf_type_at(obj->btf, id)) : 0);
    if (e->max_maps > LOAD_MAX_MAPS)
        e->max_maps = LOAD_MAX_MAPS;
    obj->maps = ARENA_ARRAY(&obj->arena, struct object_map, e->max_maps);
    if (!obj->maps)
        return log_fail(log, -ENOMEM, "no memory for %u maps", e->max_maps);
    return 0;
}

static int read_all(struct object *obj, const void *image, size_t size, const char *kconfig, const struct log *log)
{
    struct object_elf *e = obj->elf;
    int err = elf_read(&obj->arena, image, size, log, &e->elf);

    if (err)
        return err;
    e->kconfig_map = e->arena_map = -1;
    e->data_map = ARENA_ARRAY(&obj->arena, int32_t, e->elf.n_sections);
    e->code = ARENA_ARRAY(&obj->arena, struct load_code, e->elf.n_sections);
    if (!e->data_map || !e->code || read_license(obj))
        return log_fail(log, -ENOMEM, "no memory");
    for (uint32_t i = 0; i < e->elf.n_sections; i++)
        e->data_map[i] = -1;
    if ((err = read_version(obj, log)) || (err = read_btf(obj, log)) || (err = read_btf_ext(obj, log)) ||
        (err = make_tables(obj, log)) || (err = load_funcs(obj, log)) || (err = load_externs(obj, log)) ||
        (err = load_fix_datasecs(obj, log)) || (err = load_maps(obj, log)) || (err = load_data(obj, log)) ||
        (err = load_map_inits(obj, log)) || (err = load_struct_ops(obj, log)) || (err = load_vars(obj, log)) ||
        (err = load_relocs(obj, log)) || (err = load_kconfig(obj, kconfig, log)))
        return err;
    return 0;
}

/* An object without anything in it, and room for `size` bytes of its file at *image. */
static struct object *new_object(const char *path, const struct object_open_opts *opts, size_t size, void **image)
{
    struct object *obj = calloc(1, sizeof(*obj));

    if (!obj)
        return NULL;
    /* Tables are a small multiple of the file; data sections may come on top. */
    obj->arena.limit = (size_t)LOAD_MAX_DATA + 64 * size + (1 << 20);
    obj->elf = ARENA_NEW(&obj->arena, struct object_elf);
    obj->path = arena_strdup(&obj->arena, path);
    obj->name =
        opts && opts->name ? arena_strndup(&obj->arena, opts->name, NAME_LEN - 1) : name_from(&obj->arena, path);
    *image = arena_alloc(&obj->arena, size);
    if (obj->elf && obj->path && obj->name && *image)
        return obj;
    object_free(obj);
    return NULL;
}

static int open_image(struct object *obj, const void *image, size_t size, const struct object_open_opts *opts,
                      const struct log *log, struct object **out)
{
    struct log in = LOG_AT(log, obj->path);
    int err = read_all(obj, image, size, opts ? opts->kconfig : NULL, &in);

    if (err)
        object_free(obj);
    else
        *out = obj;
    return err;
}

static size_t max_size(const struct object_open_opts *opts)
{
    return opts && opts->max_size ? opts->max_size : LOAD_MAX_FILE;
}

int object_open_mem(const void *data, size_t size, const char *name, const struct object_open_opts *opts,
                    const struct log *log, struct object **out)
{
    struct log in = LOG_AT(log, name ? name : "object");
    struct object *obj;
    void *image;

    if (size > max_size(opts))
        return log_fail(&in, -E2BIG, "%zu bytes; at most %zu are read", size, max_size(opts));
    obj = new_object(in.where, opts, size, &image);
    if (!obj)
        return log_fail(&in, -ENOMEM, "no memory for %zu bytes", size);
    memcpy(image, data, size);
    return open_image(obj, image, size, opts, log, out);
}

/* Reads until the end, or until there is more than was expected. */
static int read_file(int fd, unsigned char *to, size_t size)
{
    size_t at = 0;

    while (at < size) {
        ssize_t n = read(fd, to + at, size - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* it shrank meanwhile */
        at += (size_t)n;
    }
    return 0;
}

int object_open_file(const char *path, const struct object_open_opts *opts, const struct log *log, struct object **out)
{
    struct log in = LOG_AT(log, path);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
    struct object *obj = NULL;
    struct stat st;
    void *image = NULL;

    if (fd < 0) {
        err = -errno;
        return log_fail(&in, err, "%s", strerror(-err));
    }
    if (fstat(fd, &st))
        err = log_fail(&in, -errno, "%s", strerror(errno));
    else if (!S_ISREG(st.st_mode))
        err = log_fail(&in, -EINVAL, "not a regular file");
    else if ((uint64_t)st.st_size > max_size(opts))
        err = log_fail(&in, -E2BIG, "%lld bytes; at most %zu are read", (long long)st.st_size, max_size(opts));
    else if (!(obj = new_object(path, opts, (size_t)st.st_size, &image)))
        err = log_fail(&in, -ENOMEM, "no memory for %lld bytes", (long long)st.st_size);
    else if ((err = read_file(fd, image, (size_t)st.st_size)))
        log_fail(&in, err, "%s", strerror(-err));
    close(fd);
    if (!err)
        return open_image(obj, image, (size_t)st.st_size, opts, log, out);
    object_free(obj);
    return err;
}

void object_free(struct object *obj)
{
    struct arena arena;

    if (!obj)
        return;
    for (uint32_t i = 0; i < obj->n_progs; i++)
        if (obj->progs[i].prog)
            prog_put(obj->progs[i].prog);
    if (obj->elf)
        load_btf_put(obj->elf->btf);
    if (obj->elf)
        load_btf_put(obj->elf->kernel);
    arena = obj->arena;
    arena_free(&arena);
    free(obj);
}
