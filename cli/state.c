/*
 * What stands in maps travels: between a run in userspace, a file, and Linux. `--maps-from` fills an object's maps
 * before its programs run, `--maps-to` carries them on afterwards. The other end is a file of ours, a directory of a
 * bpffs with pinned maps, or `linux:PROG`, the maps of a program that is at work (its number or its name). Files hold
 * bytes, so that nothing is lost; values of CPUs that the other side does not have are zero there, and none is dropped
 * in silence. Programs, inner maps and events stay where they are; constants cannot change.
 */
#include "cli/run.h"
#include "vm/abi/map_types.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_STATE = 256 << 20, MAX_MAPS = 256 };

struct state {
    struct cli *c;
    struct skep_object *obj;
    const char *where; /* the argument */
    unsigned carried;
};

bool state_is_table(const struct skep_map *map)
{
    switch (skep_map__type(map)) {
    case MAP_TYPE_HASH:
    case MAP_TYPE_ARRAY:
    case MAP_TYPE_PERCPU_HASH:
    case MAP_TYPE_PERCPU_ARRAY:
    case MAP_TYPE_LRU_HASH:
    case MAP_TYPE_LRU_PERCPU_HASH:
    case MAP_TYPE_LPM_TRIE: return map_exists(map);
    default: return false;
    }
}

static bool travels(const struct skep_map *map)
{
    return state_is_table(map) && !(skep_map__is_internal(map) && object_map_is_constant(map_of(map)));
}

static int fail(struct state *s, const struct skep_map *map, const char *why)
{
    return cli_fail(s->c, STATUS_USAGE, "%s: map '%s': %s", s->where, skep_map__name(map), why);
}

/* ---- Values of CPUs ---- */

/* Fits a value of another map or of a file to this one: CPUs that are missing are zero. */
static int fit(struct state *s, const struct skep_map *map, const void *from, size_t size, struct buf *out)
{
    size_t want = skep_map__host_value_size(map);
    buf_clear(out);
    if (size > want && skep_map__is_percpu(map)) {
        uint32_t step, cpus = cli_slots(map, &step);
        for (size_t i = want; i < size; i++)
            if (((const char *)from)[i])
                return cli_fail(s->c, STATUS_USAGE, "%s: map '%s' holds values of %zu CPUs, and here are %u (--cpus)",
                                s->where, skep_map__name(map), size / step, cpus);
        size = want;
    }
    if (size > want || (size < want && !skep_map__is_percpu(map)))
        return fail(s, map, "its values have another size");
    buf_add(out, from, size);
    while (!out->failed && out->len < want)
        buf_putc(out, 0);
    return out->failed ? fail(s, map, "out of memory") : 0;
}

static int put(struct state *s, struct skep_map *map, const void *key, const void *value, size_t size, struct buf *room)
{
    int status = fit(s, map, value, size, room);
    if (status)
        return status;
    int err = skep_map__update_elem(map, key, skep_map__key_size(map), room->data, room->len, SKEP_ANY);
    return err ? fail(s, map, strerror(-err)) : 0;
}

/* ---- Elements, one after the other ---- */

struct walk_map {
    const struct skep_map *map;
    unsigned char *key, *next, *value;
    bool begun;
};

static bool walk_open(struct walk_map *w, const struct skep_map *map)
{
    *w = (struct walk_map){.map = map,
                           .key = calloc(1, (size_t)skep_map__key_size(map) + 8),
                           .next = calloc(1, (size_t)skep_map__key_size(map) + 8),
                           .value = calloc(1, (size_t)skep_map__host_value_size(map) + 8)};
    return w->key && w->next && w->value;
}

static bool walk_next(struct walk_map *w)
{
    uint32_t size = skep_map__key_size(w->map);
    while (!skep_map__get_next_key(w->map, w->begun ? w->key : NULL, w->next, size)) {
        w->begun = true;
        memcpy(w->key, w->next, size);
        if (!skep_map__lookup_elem(w->map, w->key, size, w->value, skep_map__host_value_size(w->map), 0))
            return true;
    }
    return false;
}

static void walk_close(struct walk_map *w)
{
    free(w->key);
    free(w->next);
    free(w->value);
}

static int copy(struct state *s, const struct skep_map *from, struct skep_map *to)
{
    struct walk_map w;
    struct buf room = {0};
    int status = walk_open(&w, from) ? 0 : fail(s, to, "out of memory");
    if (skep_map__type(from) != skep_map__type(to) || skep_map__key_size(from) != skep_map__key_size(to) ||
        skep_map__value_size(from) != skep_map__value_size(to))
        status = fail(s, to, "it has another type or other sizes there");
    while (!status && walk_next(&w))
        status = put(s, to, w.key, w.value, skep_map__host_value_size(from), &room);
    walk_close(&w);
    buf_free(&room);
    s->carried += !status;
    return status;
}

/* ---- Maps in Linux ---- */

/* Linux knows the first 15 characters of a name, and of data sections those of the object before the section's. */
static bool same_map(const struct skep_map *ours, const struct skep_map *theirs)
{
    enum { KNOWN = 15 };
    const char *name = skep_map__name(theirs);
    if (!skep_map__is_internal(ours))
        return !strncmp(skep_map__name(ours), name, KNOWN);
    const char *dot = strchr(name, '.');
    return dot && !strncmp(map_of(ours)->section, dot, strlen(dot)) &&
           skep_map__value_size(ours) == skep_map__value_size(theirs);
}

static int with_program(struct state *s, const char *prog, bool save)
{
    uint32_t ids[MAX_MAPS];
    int n = skep_linux_prog_maps(prog, ids, MAX_MAPS), status = 0;
    if (n < 0)
        return cli_fail(s->c, STATUS_USAGE, "%s: %s", s->where,
                        n == -ENOENT ? "Linux runs no program of this name or number" : strerror(-n));
    for (int i = 0; i < n && !status; i++) {
        struct skep_map *theirs = skep_map__open_linux(skep_object__vm(s->obj), NULL, ids[i]), *ours;
        if (!theirs)
            return cli_fail(s->c, STATUS_USAGE, "%s: map %u: %s", s->where, ids[i], strerror(errno));
        skep_object__for_each_map(ours, s->obj) if (!status && travels(ours) && same_map(ours, theirs)) status =
            save ? copy(s, ours, theirs) : copy(s, theirs, ours);
        skep_map__free(theirs);
    }
    return status;
}

static int with_pins(struct state *s, bool save)
{
    struct skep_map *ours;
    int status = 0;
    skep_object__for_each_map(ours, s->obj)
    {
        struct buf path = {0};
        buf_printf(&path, "%s/%s", s->where, skep_map__name(ours));
        bool there = !status && travels(ours) && !access(buf_text(&path), F_OK);
        struct skep_map *theirs = there ? skep_map__open_linux(skep_object__vm(s->obj), buf_text(&path), 0) : NULL;
        if (theirs)
            status = save ? copy(s, ours, theirs) : copy(s, theirs, ours);
        else if (there)
            status = fail(s, ours, strerror(errno));
        skep_map__free(theirs);
        buf_free(&path);
    }
    return status;
}

/* ---- Files ---- */

static void write_map(struct json_writer *w, const struct skep_map *map, struct walk_map *walk)
{
    json_object_begin(w);
    json_str_at(w, "name", skep_map__name(map));
    json_str_at(w, "type", skep_map_type_str(skep_map__type(map)));
    json_u64_at(w, "key_size", skep_map__key_size(map));
    json_u64_at(w, "value_size", skep_map__value_size(map));
    json_name(w, "elements");
    json_array_begin(w);
    while (walk_next(walk)) {
        json_object_begin(w);
        json_bytes_at(w, "key", walk->key, skep_map__key_size(map));
        json_bytes_at(w, "value", walk->value, skep_map__host_value_size(map));
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
}

static int save_file(struct state *s)
{
    struct buf text = {0};
    struct json_writer w = {.out = &text, .pretty = true};
    struct skep_map *map;
    int status = 0;
    json_object_begin(&w);
    json_u64_at(&w, "schema", CLI_SCHEMA);
    json_name(&w, "maps");
    json_array_begin(&w);
    skep_object__for_each_map(map, s->obj)
    {
        struct walk_map walk;
        if (status || !travels(map))
            continue;
        if (walk_open(&walk, map))
            write_map(&w, map, &walk);
        else
            status = fail(s, map, "out of memory");
        walk_close(&walk);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&text, '\n');
    if (!status && text.failed)
        status = cli_fail(s->c, STATUS_USAGE, "out of memory");
    if (!status)
        status = !strcmp(s->where, "-") ? file_write(s->c, s->where, text.data, text.len)
                                        : file_replace(s->c, s->where, text.data, text.len);
    buf_free(&text);
    return status;
}

static bool number_is(const struct json *o, const char *name, uint64_t want)
{
    const struct json *v = json_get(o, name);
    uint64_t have;
    return v && json_as_u64(v, &have) && have == want;
}

static bool bytes_of(const struct json *entry, const char *name, struct buf *out)
{
    const struct json *v = json_get(entry, name);
    buf_clear(out);
    return v && v->kind == JSON_STRING && parse_hex(v->string, v->length, out);
}

static int read_map(struct state *s, const struct json *from, struct skep_map *map)
{
    const struct json *type = json_get(from, "type"), *list = json_get(from, "elements");
    struct buf key = {0}, value = {0}, room = {0};
    int status = 0;
    if (!type || type->kind != JSON_STRING || strcmp(type->string, skep_map_type_str(skep_map__type(map))) ||
        !number_is(from, "key_size", skep_map__key_size(map)) ||
        !number_is(from, "value_size", skep_map__value_size(map)))
        return fail(s, map, "it has another type or other sizes there");
    if (!list || list->kind != JSON_ARRAY)
        return fail(s, map, "there are no \"elements\"");
    for (size_t i = 0; i < list->length && !status; i++)
        status = bytes_of(list->items[i], "key", &key) && key.len == skep_map__key_size(map) &&
                         bytes_of(list->items[i], "value", &value)
                     ? put(s, map, key.data, buf_text(&value), value.len, &room)
                     : fail(s, map, "an element is damaged");
    buf_free(&key);
    buf_free(&value);
    buf_free(&room);
    s->carried += !status;
    return status;
}

static int read_file(struct state *s)
{
    struct buf text = {0};
    struct arena arena = {.limit = 1u << 30};
    const struct json *root = NULL, *list;
    struct log log = cli_log(s->c);
    log.where = s->where;
    int status = file_read(s->c, s->where, MAX_STATE, &text);
    if (!status && json_parse(&arena, buf_text(&text), text.len, &log, &root))
        status = STATUS_USAGE;
    list = status ? NULL : json_get(root, "maps");
    if (!status && (!list || list->kind != JSON_ARRAY))
        status = cli_fail(s->c, STATUS_USAGE, "%s: not a file of --maps-to", s->where);
    for (size_t i = 0; !status && i < list->length; i++) {
        const struct json *name = json_get(list->items[i], "name");
        struct skep_map *map =
            name && name->kind == JSON_STRING ? skep_object__find_map_by_name(s->obj, name->string) : NULL;
        if (map && travels(map))
            status = read_map(s, list->items[i], map);
    }
    buf_free(&text);
    arena_free(&arena);
    return status;
}

/* ---- Either way ---- */

static bool is_directory(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static int carry(struct cli *c, struct skep_object *obj, const char *where, bool save)
{
    struct state s = {.c = c, .obj = obj, .where = where};
    int status;
    if (!strncmp(where, "linux:", 6))
        status = with_program(&s, where + 6, save);
    else if (is_directory(where))
        status = with_pins(&s, save);
    else
        return save ? save_file(&s) : read_file(&s);
    if (!status && !s.carried)
        cli_warn(c, "%s: it has no map in common with %s", where, skep_object__name(obj));
    return status;
}

int state_load(struct cli *c, struct skep_object *obj, const char *from)
{
    return from ? carry(c, obj, from, false) : 0;
}

int state_save(struct cli *c, struct skep_object *obj, const char *to)
{
    return to ? carry(c, obj, to, true) : 0;
}
