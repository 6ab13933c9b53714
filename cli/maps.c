/*
 * Map contents from JSON: a list of entries as `bpftool map dump` and `--dump-maps` write them,
 *     [{"key": 1, "value": {...}}, {"key": 2, "values": [{"cpu": 0, "value": 5}]}]
 * Keys and values are read through their types; without types they are numbers, rows of bytes, or hex text. Each entry
 * is read completely before it is written to the map.
 */
#include "cli/run.h"
#include "vm/abi/map_types.h"
#include "vm/btf/show.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_JSON = 64 << 20 };

struct fill {
    struct cli *c;
    struct skep_object *obj;
    struct skep_map *map;
    struct log log;
    unsigned char *key, *value; /* key_size, host_value_size */
    struct buf where;           /* "file.json: map 'x': entry 3" */
};

/* ---- Bytes from JSON without types ---- */

static bool put_number(const struct json *v, unsigned char *to, uint32_t size)
{
    uint64_t n;
    if ((size != 1 && size != 2 && size != 4 && size != 8) || !json_as_u64(v, &n))
        return false;
    if (size < 8 && n >> (size * 8) && (int64_t)n >> (size * 8 - 1) != -1)
        return false;
    for (uint32_t i = 0; i < size; i++)
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        to[size - 1 - i] = (unsigned char)(n >> i * 8);
#else
        to[i] = (unsigned char)(n >> i * 8);
#endif
    return true;
}

static bool put_list(const struct json *v, unsigned char *to, uint32_t size)
{
    if (v->kind != JSON_ARRAY || v->length != size)
        return false;
    for (uint32_t i = 0; i < size; i++)
        if (!put_number(v->items[i], &to[i], 1))
            return false;
    return true;
}

static bool put_hex(const struct json *v, unsigned char *to, uint32_t size)
{
    struct buf bytes = {0};
    bool ok = v->kind == JSON_STRING && parse_hex(v->string, v->length, &bytes) && bytes.len == size;
    if (ok)
        memcpy(to, bytes.data, size);
    buf_free(&bytes);
    return ok;
}

static int put_bytes(struct fill *f, const char *what, const struct json *v, unsigned char *to, uint32_t size)
{
    if (v->kind == JSON_INT ? put_number(v, to, size) : put_list(v, to, size) || put_hex(v, to, size))
        return 0;
    return log_fail(&f->log, -EINVAL, "line %u: the %s must be a number, a list of %u bytes or hex text of as many",
                    v->line, what, size);
}

static int put(struct fill *f, const char *what, uint32_t type, const struct json *v, unsigned char *to, uint32_t size)
{
    const struct btf *btf = f->obj->obj->btf;
    if (!btf || !type)
        return put_bytes(f, what, v, to, size);
    return btf_read_json(btf, type, v, to, size, &f->log);
}

/* ---- Values ---- */

static int put_value(struct fill *f, const struct json *v, unsigned char *to)
{
    return put(f, "value", skep_map__btf_value_type_id(f->map), v, to, skep_map__value_size(f->map));
}

/* One value for all CPUs. */
static int put_same(struct fill *f, const struct json *v)
{
    uint32_t step, cpus = cli_slots(f->map, &step);
    int err = put_value(f, v, f->value);
    for (uint32_t i = 1; i < cpus && !err; i++)
        memcpy(f->value + (size_t)i * step, f->value, step);
    return err;
}

/* A list of {"cpu": n, "value": v}; CPUs that are not named get zero. */
static int put_percpu(struct fill *f, const struct json *list)
{
    uint32_t step, cpus = cli_slots(f->map, &step);
    if (list->kind != JSON_ARRAY)
        return log_fail(&f->log, -EINVAL, "line %u: \"values\" must be a list", list->line);
    for (size_t i = 0; i < list->length; i++) {
        const struct json *item = list->items[i], *cpu = json_get(item, "cpu"), *value = json_get(item, "value");
        uint64_t n;
        if (!cpu || !value || !json_as_u64(cpu, &n))
            return log_fail(&f->log, -EINVAL, "line %u: expected {\"cpu\": N, \"value\": ...}", item->line);
        if (n >= cpus)
            return log_fail(&f->log, -EINVAL, "line %u: there is no CPU %" PRIu64 " (see --cpus)", item->line, n);
        int err = put_value(f, value, f->value + (size_t)n * step);
        if (err)
            return err;
    }
    return 0;
}

/* ---- Entries ---- */

static const char *text_of(const struct json *v)
{
    return v && v->kind == JSON_STRING ? v->string : NULL;
}

static int set_program(struct fill *f, const struct json *value)
{
    uint32_t index;
    struct skep_program *prog = text_of(value) ? skep_object__find_program_by_name(f->obj, value->string) : NULL;
    if (!prog || !skep_program__loaded(prog))
        return log_fail(&f->log, -EINVAL, "line %u: the value must be the name of a program of this object",
                        value->line);
    memcpy(&index, f->key, sizeof(index));
    return skep_map__set_program(f->map, index, prog);
}

static int set_inner(struct fill *f, const struct json *value)
{
    struct skep_map *inner = text_of(value) ? skep_object__find_map_by_name(f->obj, value->string) : NULL;
    if (!inner)
        return log_fail(&f->log, -EINVAL, "line %u: the value must be the name of a map of this object", value->line);
    return skep_map__set_inner_map(f->map, f->key, skep_map__key_size(f->map), inner, 0);
}

static int set_value(struct fill *f, const struct json *value, const struct json *values)
{
    uint32_t size = skep_map__host_value_size(f->map);
    memset(f->value, 0, size);
    int err = values && skep_map__is_percpu(f->map) ? put_percpu(f, values)
              : skep_map__is_percpu(f->map)         ? put_same(f, value)
                                                    : put_value(f, value, f->value);
    return err ? err : skep_map__update_elem(f->map, f->key, skep_map__key_size(f->map), f->value, size, SKEP_ANY);
}

/* A sample is as long as its text says. */
static int put_sample(struct fill *f, const struct json *value)
{
    struct skep_user_ring_buffer *ring = skep_user_ring_buffer__new(f->map, NULL);
    struct buf bytes = {0};
    bool ok = ring && value && value->kind == JSON_STRING && parse_hex(value->string, value->length, &bytes);
    void *sample = ok ? skep_user_ring_buffer__reserve(ring, (uint32_t)bytes.len) : NULL;
    int err = sample ? 0 : ok || !ring ? -errno : -EINVAL;
    if (sample) {
        memcpy(sample, bytes.data, bytes.len);
        skep_user_ring_buffer__submit(ring, sample);
    }
    skep_user_ring_buffer__free(ring);
    buf_free(&bytes);
    return ok || !ring ? err
                       : log_fail(&f->log, err, "line %u: a sample of a user ring buffer is a text of hex digits",
                                  value ? value->line : 0);
}

static int set_entry(struct fill *f, const struct json *entry)
{
    const struct json *typed = json_get(entry, "formatted"), *from = typed ? typed : entry;
    const struct json *key = json_get(from, "key"), *value = json_get(from, "value"),
                      *values = json_get(from, "values");
    if (!value && !values)
        return log_fail(&f->log, -EINVAL, "line %u: an entry needs \"key\" and \"value\"", entry->line);
    if (!value && !skep_map__is_percpu(f->map))
        return log_fail(&f->log, -EINVAL, "line %u: \"values\" are for per-CPU maps", entry->line);
    if (!key && skep_map__key_size(f->map))
        return log_fail(&f->log, -EINVAL, "line %u: an entry needs a \"key\"", entry->line);
    int err = skep_map__key_size(f->map)
                  ? put(f, "key", skep_map__btf_key_type_id(f->map), key, f->key, skep_map__key_size(f->map))
                  : 0;
    if (err)
        return err;
    switch (skep_map__type(f->map)) {
    case SKEP_MAP_TYPE_PROG_ARRAY: err = value ? set_program(f, value) : -EINVAL; break;
    case SKEP_MAP_TYPE_ARRAY_OF_MAPS:
    case SKEP_MAP_TYPE_HASH_OF_MAPS: err = value ? set_inner(f, value) : -EINVAL; break;
    case SKEP_MAP_TYPE_USER_RINGBUF: err = put_sample(f, value); break;
    default: err = set_value(f, value, values); break;
    }
    return err && !f->c->failed ? log_fail(&f->log, err, "line %u: cannot be stored: %s", entry->line, strerror(-err))
                                : err;
}

static int fill(struct fill *f, const struct json *root)
{
    const struct json *list =
        root->kind == JSON_OBJECT && json_get(root, "elements") ? json_get(root, "elements") : root;
    if (list->kind != JSON_ARRAY)
        return log_fail(&f->log, -EINVAL, "line %u: expected a list of {\"key\": ..., \"value\": ...}", list->line);
    int err = 0;
    for (size_t i = 0; i < list->length && !err; i++)
        err = set_entry(f, list->items[i]);
    return err;
}

static bool has_elements(uint32_t type)
{
    return type != SKEP_MAP_TYPE_RINGBUF && type != SKEP_MAP_TYPE_PERF_EVENT_ARRAY;
}

int maps_read(struct cli *c, struct skep_object *obj, struct skep_map *map, const char *name, const char *text,
              size_t len)
{
    struct fill f = {.c = c, .obj = obj, .map = map, .log = cli_log(c)};
    struct arena arena = {.limit = 1u << 30};
    const struct json *root;
    if (!map_exists(map) || skep_map__is_internal(map) || !has_elements(skep_map__type(map)))
        return cli_fail(c, STATUS_USAGE, "map '%s' cannot be filled%s", skep_map__name(map),
                        skep_map__is_internal(map) ? "; its variables are set with --set" : "");
    buf_printf(&f.where, "%s: map '%s'", name, skep_map__name(map));
    f.log.where = buf_text(&f.where);
    f.key = calloc(1, (size_t)skep_map__key_size(map) + 8);
    f.value = calloc(1, (size_t)skep_map__host_value_size(map) + 8);
    int err = f.key && f.value ? json_parse(&arena, text, len, &f.log, &root) : -ENOMEM;
    if (!err)
        err = fill(&f, root);
    free(f.key);
    free(f.value);
    arena_free(&arena);
    if (err && !c->failed)
        cli_fail(c, STATUS_USAGE, "%s: %s", buf_text(&f.where), strerror(-err));
    buf_free(&f.where);
    return err ? STATUS_USAGE : 0;
}

int maps_fill(struct cli *c, struct skep_object *obj, const char *arg)
{
    const char *eq = strchr(arg, '=');
    struct buf name = {0}, text = {0};
    if (!eq)
        return cli_usage(c, &cmd_run, "--map: '%s' is not NAME=FILE", arg);
    buf_add(&name, arg, (size_t)(eq - arg));
    struct skep_map *map = skep_object__find_map_by_name(obj, buf_text(&name));
    int status = map ? file_read(c, eq + 1, MAX_JSON, &text)
                     : cli_fail(c, STATUS_USAGE, "--map: there is no map '%s' in %s (see `skep show`)", buf_text(&name),
                                skep_object__name(obj));
    if (!status)
        status = maps_read(c, obj, map, eq + 1, buf_text(&text), text.len);
    buf_free(&name);
    buf_free(&text);
    return status;
}
