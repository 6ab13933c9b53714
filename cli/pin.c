/*
 * Pinned maps as files: DIR/NAME.json holds the elements of the map of that name, bytes as hex, so that nothing of them
 * is lost. A map is filled from its file before the run and written back after it; a map that has no file starts empty.
 */
#include "cli/run.h"
#include "vm/abi/map_types.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_JSON = 256 << 20 };

/* Programs and maps have no bytes that another process could use; events are gone once they were shown. */
static bool is_pinned(const struct skep_map *map)
{
    switch (skep_map__type(map)) {
    case SKEP_MAP_TYPE_PROG_ARRAY:
    case SKEP_MAP_TYPE_ARRAY_OF_MAPS:
    case SKEP_MAP_TYPE_HASH_OF_MAPS:
    case SKEP_MAP_TYPE_RINGBUF:
    case SKEP_MAP_TYPE_PERF_EVENT_ARRAY: return false;
    default: return skep_map__pin_name(map) && map_exists(map);
    }
}

static void path_of(struct buf *path, const char *dir, const struct skep_map *map)
{
    buf_printf(path, "%s/", dir);
    for (const char *p = skep_map__pin_name(map); *p; p++)
        buf_putc(path, *p == '/' ? '_' : *p);
    buf_puts(path, ".json");
}

/* ---- Reading ---- */

static int bad(struct cli *c, const char *path, const char *why)
{
    return cli_fail(c, STATUS_USAGE, "%s: %s; remove it to begin anew", path, why);
}

static int check_head(struct cli *c, const char *path, const struct json *root, const struct skep_map *map)
{
    uint64_t key, value;
    const struct json *type = json_get(root, "type"), *k = json_get(root, "key_size"),
                      *v = json_get(root, "value_size");
    if (!type || type->kind != JSON_STRING || !k || !v || !json_as_u64(k, &key) || !json_as_u64(v, &value))
        return bad(c, path, "no pinned map");
    if (strcmp(type->string, skep_map_type_str(skep_map__type(map))) || key != skep_map__key_size(map) ||
        value != skep_map__host_value_size(map))
        return bad(c, path, "the pinned map has another type, key or value size, or number of CPUs");
    return 0;
}

static bool bytes_of(const struct json *entry, const char *name, struct buf *out, size_t size)
{
    const struct json *v = json_get(entry, name);
    buf_clear(out);
    return v && v->kind == JSON_STRING && parse_hex(v->string, v->length, out) && out->len == size;
}

static int read_elements(struct cli *c, const char *path, const struct json *root, struct skep_map *map)
{
    const struct json *list = json_get(root, "elements");
    struct buf key = {0}, value = {0};
    size_t key_size = skep_map__key_size(map), value_size = skep_map__host_value_size(map);
    int status = list && list->kind == JSON_ARRAY ? 0 : bad(c, path, "no pinned map");
    for (size_t i = 0; !status && i < list->length; i++) {
        if (!bytes_of(list->items[i], "key", &key, key_size) || !bytes_of(list->items[i], "value", &value, value_size))
            status = bad(c, path, "an element is damaged");
        else if (skep_map__update_elem(map, key.data, key_size, value.data, value_size, SKEP_ANY))
            status = bad(c, path, "an element does not fit the map");
    }
    buf_free(&key);
    buf_free(&value);
    return status;
}

static int load(struct cli *c, const char *path, struct skep_map *map)
{
    struct buf text = {0};
    struct arena arena = {.limit = 1u << 30};
    const struct json *root;
    struct log log = cli_log(c);
    log.where = path;
    int status = file_read(c, path, MAX_JSON, &text);
    if (!status && json_parse(&arena, buf_text(&text), text.len, &log, &root))
        status = STATUS_USAGE;
    if (!status)
        status = check_head(c, path, root, map);
    if (!status)
        status = read_elements(c, path, root, map);
    buf_free(&text);
    arena_free(&arena);
    return status;
}

int pins_load(struct cli *c, struct skep_object *obj, const char *dir)
{
    struct skep_map *map;
    int status = 0;
    if (access(dir, R_OK | W_OK | X_OK))
        return cli_fail(c, STATUS_USAGE, "--pin-dir %s: %s", dir, strerror(errno));
    skep_object__for_each_map(map, obj)
    {
        struct buf path = {0};
        if (status || !is_pinned(map))
            continue;
        path_of(&path, dir, map);
        if (!access(buf_text(&path), F_OK))
            status = load(c, buf_text(&path), map);
        buf_free(&path);
    }
    return status;
}

/* ---- Writing ---- */

/* @return false: out of memory, and what was written is not all. */
static bool write_elements(struct json_writer *w, const struct skep_map *map)
{
    size_t key_size = skep_map__key_size(map), value_size = skep_map__host_value_size(map);
    unsigned char *key = calloc(1, key_size + 8), *next = calloc(1, key_size + 8), *value = calloc(1, value_size + 8);
    bool first = true, room = key && next && value;
    while (room && !skep_map__get_next_key(map, first ? NULL : key, next, key_size)) {
        first = false;
        memcpy(key, next, key_size);
        if (skep_map__lookup_elem(map, key, key_size, value, value_size, 0))
            continue;
        json_object_begin(w);
        json_bytes_at(w, "key", key, key_size);
        json_bytes_at(w, "value", value, value_size);
        json_object_end(w);
    }
    free(key);
    free(next);
    free(value);
    return room;
}

static int save(struct cli *c, const char *path, const struct skep_map *map)
{
    struct buf text = {0};
    struct json_writer w = {.out = &text};
    json_object_begin(&w);
    json_u64_at(&w, "schema", CLI_SCHEMA);
    json_str_at(&w, "type", skep_map_type_str(skep_map__type(map)));
    json_u64_at(&w, "key_size", skep_map__key_size(map));
    json_u64_at(&w, "value_size", skep_map__host_value_size(map));
    json_name(&w, "elements");
    json_array_begin(&w);
    bool whole = write_elements(&w, map);
    json_array_end(&w);
    json_object_end(&w);
    buf_putc(&text, '\n');
    int status =
        !whole || text.failed ? cli_fail(c, STATUS_USAGE, "out of memory") : file_replace(c, path, text.data, text.len);
    buf_free(&text);
    return status;
}

int pins_save(struct cli *c, const struct skep_object *obj, const char *dir)
{
    struct skep_map *map;
    int status = 0;
    skep_object__for_each_map(map, obj)
    {
        struct buf path = {0};
        if (status || !is_pinned(map))
            continue;
        path_of(&path, dir, map);
        status = path.failed ? cli_fail(c, STATUS_USAGE, "out of memory") : save(c, buf_text(&path), map);
        buf_free(&path);
    }
    return status;
}
