/*
 * Events that programs send through ring and perf buffers, shown after each run. What an event is no object says for
 * sure. Its type is, in this order: what --event names; the value type of the map; a struct of the object called
 * "event", or like the map without its plural, when its size is the event's. Else its bytes are shown.
 */
#include "cli/run.h"
#include "vm/abi/map_types.h"
#include "vm/btf/show.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct source {
    struct events *all;
    const struct skep_map *map;
    uint32_t type;   /* certain; 0: none */
    uint32_t likely; /* when the size is right */
    struct skep_perf_buffer *perf;
};

struct events {
    struct run *r;
    struct skep_ring_buffer *rings;
    struct source *sources;
    uint32_t n;
};

/* ---- Types ---- */

static uint32_t find_type(const struct btf *btf, const char *name)
{
    static const struct {
        const char *word;
        unsigned kind;
    } kinds[] = {{"struct ", BTF_STRUCT}, {"union ", BTF_UNION}, {"enum ", BTF_ENUM}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (!strncmp(name, kinds[i].word, strlen(kinds[i].word)))
            return btf_find(btf, name + strlen(kinds[i].word), kinds[i].kind);
    uint32_t id = btf_find(btf, name, BTF_STRUCT);
    id = id ? id : btf_find(btf, name, BTF_TYPEDEF);
    id = id ? id : btf_find(btf, name, BTF_UNION);
    return id ? id : btf_find(btf, name, BTF_INT);
}

static uint32_t likely_type(const struct btf *btf, const char *map)
{
    char name[64];
    size_t len = strlen(map);
    snprintf(name, sizeof(name), "%s", map);
    uint32_t id = btf_find(btf, name, BTF_STRUCT);
    if (!id && len && len < sizeof(name) && name[len - 1] == 's') {
        name[len - 1] = 0;
        id = btf_find(btf, name, BTF_STRUCT);
    }
    return id ? id : btf_find(btf, "event", BTF_STRUCT);
}

/* --event TYPE is for all maps, --event MAP=TYPE for one. */
static int named_type(struct events *e, struct source *s)
{
    const struct btf *btf = e->r->obj->obj->btf;
    const char *map = skep_map__name(s->map);
    for (uint32_t i = 0; i < e->r->o->n_events; i++) {
        const char *arg = e->r->o->events[i], *eq = strchr(arg, '=');
        if (eq && (strlen(map) != (size_t)(eq - arg) || memcmp(map, arg, (size_t)(eq - arg))))
            continue;
        s->type = btf ? find_type(btf, eq ? eq + 1 : arg) : 0;
        if (!s->type)
            return cli_fail(e->r->c, STATUS_USAGE, "--event: %s has no type '%s'", e->r->o->object, eq ? eq + 1 : arg);
    }
    return 0;
}

static uint32_t type_for(const struct source *s, size_t size)
{
    const struct btf *btf = s->all->r->obj->obj->btf;
    if (!btf)
        return 0;
    if (s->type)
        return btf_size(btf, s->type) >= 0 && (uint64_t)btf_size(btf, s->type) <= size ? s->type : 0;
    /* A sample of a perf buffer is padded, as Linux does it: with its size it fills whole eights of bytes. */
    size_t pad = s->perf ? 8 : 1;
    uint64_t likely = s->likely ? (uint64_t)btf_size(btf, s->likely) : 0;
    return s->likely && size >= likely && size < likely + pad ? s->likely : 0;
}

/* ---- Showing ---- */

static void show_data(struct json_writer *w, const struct source *s, const void *data, size_t size)
{
    uint32_t type = type_for(s, size);
    if (type) {
        btf_show_json(s->all->r->obj->obj->btf, type, data, size, w);
    } else {
        struct buf text = {0};
        hex_bytes(&text, data, size);
        json_string(w, buf_text(&text));
        buf_free(&text);
    }
}

static void json_event(const struct source *s, int cpu, const void *data, size_t size)
{
    struct json_writer *w = &s->all->r->c->w;
    json_object_begin(w);
    json_str_at(w, "map", skep_map__name(s->map));
    if (cpu >= 0)
        json_u64_at(w, "cpu", (uint64_t)cpu);
    json_u64_at(w, "size", size);
    json_name(w, "data");
    show_data(w, s, data, size);
    json_object_end(w);
}

static void print_event(const struct source *s, int cpu, const void *data, size_t size)
{
    struct buf text = {0};
    struct json_writer w = {.out = &text};
    show_data(&w, s, data, size);
    printf("event %s", skep_map__name(s->map));
    if (cpu >= 0 && skep_vm__cpus(s->all->r->obj->vm) > 1)
        printf(" cpu %d", cpu);
    printf(": %s\n", buf_text(&text));
    buf_free(&text);
}

static void on_event(const struct source *s, int cpu, const void *data, size_t size)
{
    if (s->all->r->c->json)
        json_event(s, cpu, data, size);
    else
        print_event(s, cpu, data, size);
}

static int on_record(void *ctx, void *data, size_t size)
{
    on_event(ctx, -1, data, size);
    return 0;
}

static void on_sample(void *ctx, int cpu, void *data, uint32_t size)
{
    on_event(ctx, cpu, data, size);
}

static void on_lost(void *ctx, int cpu, uint64_t count)
{
    const struct source *s = ctx;
    cli_warn(s->all->r->c, "map '%s': %" PRIu64 " events of CPU %d were lost: no room", skep_map__name(s->map), count,
             cpu);
}

void events_show(struct events *e)
{
    if (e->rings)
        skep_ring_buffer__consume(e->rings);
    for (uint32_t i = 0; i < e->n; i++)
        if (e->sources[i].perf)
            skep_perf_buffer__consume(e->sources[i].perf);
}

/* ---- Opening ---- */

enum { PERF_PAGES = 64 };

static int open_ring(struct events *e, struct source *s, struct skep_map *map)
{
    if (e->rings)
        return skep_ring_buffer__add(e->rings, map, on_record, s);
    e->rings = skep_ring_buffer__new(map, on_record, s, NULL);
    return e->rings ? 0 : -errno;
}

static int open_source(struct events *e, struct skep_map *map)
{
    const struct btf *btf = e->r->obj->obj->btf;
    struct source *s = &e->sources[e->n++];
    *s = (struct source){.all = e, .map = map};
    if (btf) {
        s->type = skep_map__btf_value_type_id(map);
        s->likely = likely_type(btf, skep_map__name(map));
        if (skep_map__type(map) == SKEP_MAP_TYPE_PERF_EVENT_ARRAY)
            s->type = 0; /* there the value is a descriptor */
    }
    int status = named_type(e, s), err;
    if (status)
        return status;
    if (skep_map__type(map) == SKEP_MAP_TYPE_RINGBUF) {
        err = open_ring(e, s, map);
    } else {
        s->perf = skep_perf_buffer__new(map, PERF_PAGES, on_sample, on_lost, s, NULL);
        err = s->perf ? 0 : -errno;
    }
    return err ? cli_fail(e->r->c, STATUS_USAGE, "map '%s': no reader: %s", skep_map__name(map), strerror(-err)) : 0;
}

struct events *events_open(struct run *r)
{
    struct events *e = calloc(1, sizeof(*e));
    struct skep_map *map;
    int status = 0;
    if (e) {
        e->r = r;
        e->sources = calloc((size_t)r->obj->obj->n_maps + 1, sizeof(*e->sources));
    }
    if (!e || !e->sources) {
        free(e);
        return NULL;
    }
    skep_object__for_each_map(map, r->obj)
    {
        uint32_t type = skep_map__type(map);
        if (!status && map_exists(map) && (type == SKEP_MAP_TYPE_RINGBUF || type == SKEP_MAP_TYPE_PERF_EVENT_ARRAY))
            status = open_source(e, map);
    }
    if (status) {
        events_close(e);
        return NULL;
    }
    return e;
}

int events_fd(const struct events *e, int i)
{
    if (e->rings && !i--)
        return skep_ring_buffer__epoll_fd(e->rings);
    for (uint32_t k = 0; k < e->n; k++)
        if (e->sources[k].perf && !i--)
            return skep_perf_buffer__epoll_fd(e->sources[k].perf);
    return -1;
}

void events_close(struct events *e)
{
    if (!e)
        return;
    skep_ring_buffer__free(e->rings);
    for (uint32_t i = 0; i < e->n; i++)
        skep_perf_buffer__free(e->sources[i].perf);
    free(e->sources);
    free(e);
}
