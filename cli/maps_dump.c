/*
 * Map contents shown: in JSON each map with all its elements, in text one element a line and values as compact JSON.
 * Keys are walked with the host's view; programs are not running meanwhile, so that the walk ends.
 */
#include "cli/run.h"
#include "vm/abi/map_types.h"
#include "vm/btf/show.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct dump {
    const struct skep_object *obj;
    const struct skep_map *map;
    struct json_writer *w;
    struct buf *text; /* where text goes, without JSON */
    unsigned char *key, *value;
    uint64_t shown, zero;
};

static void show(const struct dump *d, uint32_t type, const void *data, uint32_t size)
{
    const struct btf *btf = d->obj->obj->btf;
    if (btf && type) {
        btf_show_json(btf, type, data, size, d->w);
    } else {
        struct buf text = {0};
        hex_bytes(&text, data, size);
        json_string(d->w, buf_text(&text));
        buf_free(&text);
    }
}

/* ---- Values ---- */

/* What a lookup in a map of things reads is a number; its name says more, when it is a thing of this object. */
static bool show_thing(const struct dump *d)
{
    uint32_t id, type = skep_map__type(d->map);
    memcpy(&id, d->value, sizeof(id));
    if (type == SKEP_MAP_TYPE_PROG_ARRAY) {
        for (uint32_t i = 0; i < d->obj->obj->n_progs; i++)
            if (d->obj->progs[i].code && d->obj->progs[i].code->id == id)
                return json_string(d->w, d->obj->progs[i].name), true;
    } else if (type == SKEP_MAP_TYPE_ARRAY_OF_MAPS || type == SKEP_MAP_TYPE_HASH_OF_MAPS) {
        for (uint32_t i = 0; i < d->obj->obj->n_maps; i++)
            if (d->obj->maps[i].map && d->obj->maps[i].map->id == id)
                return json_string(d->w, skep_map__name(&d->obj->maps[i])), true;
    } else {
        return false;
    }
    json_u64(d->w, id);
    return true;
}

static void show_value(const struct dump *d, uint32_t cpu)
{
    uint32_t step = (skep_map__value_size(d->map) + 7) / 8 * 8;
    if (!show_thing(d))
        show(d, skep_map__btf_value_type_id(d->map), d->value + (size_t)cpu * step, skep_map__value_size(d->map));
}

static void json_values(const struct dump *d)
{
    json_name(d->w, "values");
    json_array_begin(d->w);
    uint32_t step, cpus = cli_slots(d->map, &step);
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        json_object_begin(d->w);
        json_u64_at(d->w, "cpu", cpu);
        json_name(d->w, "value");
        show_value(d, cpu);
        json_object_end(d->w);
    }
    json_array_end(d->w);
}

static void json_element(struct dump *d)
{
    json_object_begin(d->w);
    json_name(d->w, "key");
    show(d, skep_map__btf_key_type_id(d->map), d->key, skep_map__key_size(d->map));
    if (skep_map__is_percpu(d->map)) {
        json_values(d);
    } else {
        json_name(d->w, "value");
        show_value(d, 0);
    }
    json_object_end(d->w);
}

static bool is_zero(const unsigned char *p, uint32_t n)
{
    while (n && !*p)
        p++, n--;
    return !n;
}

static void print_element(struct dump *d)
{
    struct buf line = {0};
    struct json_writer w = {.out = &line};
    struct dump one = *d;
    one.w = &w;
    show(&one, skep_map__btf_key_type_id(d->map), d->key, skep_map__key_size(d->map));
    buf_printf(d->text, "  %s: ", buf_text(&line));
    uint32_t step, cpus = cli_slots(d->map, &step);
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        buf_clear(&line);
        w = (struct json_writer){.out = &line};
        show_value(&one, cpu);
        if (cpus > 1)
            buf_printf(d->text, "%scpu%u %s", cpu ? ", " : "", cpu, buf_text(&line));
        else
            buf_puts(d->text, buf_text(&line));
    }
    buf_putc(d->text, '\n');
    buf_free(&line);
}

/* In text, the elements of an array that were never written are counted, not listed. */
static void element(struct dump *d, bool json)
{
    uint32_t type = skep_map__type(d->map);
    bool array = type == SKEP_MAP_TYPE_ARRAY || type == SKEP_MAP_TYPE_PERCPU_ARRAY;
    if (json)
        json_element(d);
    else if (array && skep_map__max_entries(d->map) > 1 && is_zero(d->value, skep_map__host_value_size(d->map)))
        d->zero++;
    else
        print_element(d);
    d->shown++;
}

static void elements(struct dump *d, bool json)
{
    uint32_t key_size = skep_map__key_size(d->map), value_size = skep_map__host_value_size(d->map);
    unsigned char *next = calloc(1, (size_t)key_size + 8);
    bool first = true;
    d->key = calloc(1, (size_t)key_size + 8);
    d->value = calloc(1, (size_t)value_size + 8);
    if (next && d->key && d->value) {
        while (!skep_map__get_next_key(d->map, first ? NULL : d->key, next, key_size)) {
            first = false;
            memcpy(d->key, next, key_size);
            if (!skep_map__lookup_elem(d->map, d->key, key_size, d->value, value_size, 0))
                element(d, json);
        }
    }
    free(next);
    free(d->key);
    free(d->value);
}

/* ---- Data sections ---- */

static void json_vars(struct dump *d)
{
    const struct object *o = d->obj->obj;
    json_name(d->w, "vars");
    json_object_begin(d->w);
    for (uint32_t i = 0; i < o->n_vars; i++) {
        const void *at = o->vars[i].map == d->map->index ? variable_at(d->obj, &o->vars[i]) : NULL;
        if (!at)
            continue;
        json_name(d->w, o->vars[i].name);
        show(d, o->vars[i].btf_id, at, o->vars[i].size);
    }
    json_object_end(d->w);
}

static void print_vars(const struct dump *d)
{
    const struct object *o = d->obj->obj;
    for (uint32_t i = 0; i < o->n_vars; i++) {
        bool shown = o->vars[i].map == d->map->index && !is_print_format(o->vars[i].name);
        const void *at = shown ? variable_at(d->obj, &o->vars[i]) : NULL;
        struct buf text = {0};
        struct json_writer w = {.out = &text};
        struct dump one = *d;
        one.w = &w;
        if (at) {
            show(&one, o->vars[i].btf_id, at, o->vars[i].size);
            buf_printf(d->text, "  %s = %s\n", o->vars[i].name, buf_text(&text));
        }
        buf_free(&text);
    }
}

static bool has_vars(const struct dump *d)
{
    for (uint32_t i = 0; i < d->obj->obj->n_vars; i++)
        if (d->obj->obj->vars[i].map == d->map->index && !is_print_format(d->obj->obj->vars[i].name))
            return true;
    return false;
}

/* ---- Maps ---- */

static bool has_elements(const struct skep_map *map)
{
    uint32_t type = skep_map__type(map);
    return map_exists(map) && type != SKEP_MAP_TYPE_RINGBUF && type != SKEP_MAP_TYPE_PERF_EVENT_ARRAY &&
           type != SKEP_MAP_TYPE_USER_RINGBUF;
}

static void json_map(struct dump *d)
{
    json_object_begin(d->w);
    json_str_at(d->w, "name", skep_map__name(d->map));
    json_str_at(d->w, "type", skep_map_type_str(skep_map__type(d->map)));
    if (skep_map__is_internal(d->map)) {
        json_vars(d);
    } else if (has_elements(d->map)) {
        json_name(d->w, "elements");
        json_array_begin(d->w);
        elements(d, true);
        json_array_end(d->w);
    }
    json_object_end(d->w);
}

static void print_map(struct dump *d)
{
    bool internal = skep_map__is_internal(d->map);
    if (internal ? !has_vars(d) : !has_elements(d->map))
        return;
    buf_printf(d->text, "%s %s:\n", internal ? "variables" : skep_map_type_str(skep_map__type(d->map)),
               skep_map__name(d->map));
    if (internal) {
        print_vars(d);
        return;
    }
    elements(d, false);
    if (d->zero)
        buf_printf(d->text, "  (%" PRIu64 " elements are zero)\n", d->zero);
    else if (!d->shown)
        buf_puts(d->text, "  (empty)\n");
}

void maps_print(const struct skep_map *map, struct buf *out)
{
    struct dump d = {.obj = map->object, .map = map, .text = out};
    if (map_exists(map))
        print_map(&d);
}

void maps_dump(struct cli *c, const struct skep_object *obj)
{
    if (c->json) {
        json_name(&c->w, "maps");
        json_array_begin(&c->w);
    }
    for (uint32_t i = 0; i < obj->obj->n_maps; i++) {
        struct buf text = {0};
        struct dump d = {.obj = obj, .map = &obj->maps[i], .w = &c->w, .text = &text};
        if (!map_exists(d.map))
            continue;
        if (c->json)
            json_map(&d);
        else
            print_map(&d);
        fputs(buf_text(&text), stdout);
        buf_free(&text);
    }
    if (c->json)
        json_array_end(&c->w);
}
