/*
 * Sections `perf_events`: counters behind the entries of PERF_EVENT_ARRAY maps and behind a program's own event,
 * `branches`: what the processor recorded of them, and `hashes`: what IMA measured of files. A counter has a value for
 * each time that it is read in a run; the last one stays.
 */
#include "vm/world/read.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

static int no_memory(struct world_reader *r)
{
    return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
}

/* ---- Counters ---- */

struct counter_text {
    uint32_t cpu;
    const struct json *values;
};

static int take_reading(struct world_reader *r, const struct json_path *at, const struct json *v,
                        struct world_reading *out)
{
    static const struct world_member members[] = {
        {"counter", world_take_u64, offsetof(struct world_reading, counter), true},
        {"enabled", world_take_u64, offsetof(struct world_reading, enabled), false},
        {"running", world_take_u64, offsetof(struct world_reading, running), false},
    };

    *out = (struct world_reading){.enabled = 1, .running = 1};
    if (v->kind == JSON_OBJECT)
        return world_members(r, at, v, members, sizeof(members) / sizeof(members[0]), out);
    return world_take_u64(r, at, v, &out->counter);
}

static int take_readings(struct world_reader *r, const struct json_path *at, const struct json *v,
                         struct world_counter *c)
{
    bool list = v->kind == JSON_ARRAY;
    int err = 0;

    if (list && !v->length)
        return WORLD_REFUSE(r, at, v, "a value, or a list of at least one, was expected");
    c->n = list ? (uint32_t)v->length : 1;
    c->values = ARENA_ARRAY(&r->w->arena, struct world_reading, c->n);
    if (!c->values)
        return no_memory(r);
    if (!list)
        return take_reading(r, at, v, c->values);
    for (uint32_t i = 0; i < c->n && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_reading(r, &here, v->items[i], &c->values[i]);
    }
    return err;
}

/* null: no event is there; {"cpu": 1, "values": ...}: it counts on that CPU alone. */
static int take_counter(struct world_reader *r, const struct json_path *at, const struct json *v,
                        struct world_counter *c)
{
    static const struct world_member members[] = {
        {"cpu", world_take_u32, offsetof(struct counter_text, cpu), true},
        {"values", world_take_json, offsetof(struct counter_text, values), true},
    };
    struct counter_text t = {.cpu = UINT32_MAX};
    struct json_path here = {.up = at, .name = "values"};
    int err;

    *c = (struct world_counter){.id = r->w->n_counters, .cpu = UINT32_MAX};
    if (v->kind == JSON_NULL)
        return 0;
    r->w->n_counters++;
    if (v->kind != JSON_OBJECT || !json_get(v, "values"))
        return take_readings(r, at, v, c);
    err = world_members(r, at, v, members, sizeof(members) / sizeof(members[0]), &t);
    c->cpu = t.cpu;
    return err ? err : take_readings(r, &here, t.values, c);
}

static int take_map(struct world_reader *r, const struct json_path *at, const struct json *v, const char *name,
                    struct world_counters *map)
{
    int err = world_is_array(r, at, v);

    map->map = name;
    if (err)
        return err;
    map->counters = ARENA_ARRAY(&r->w->arena, struct world_counter, v->length + 1);
    if (!map->counters)
        return no_memory(r);
    for (size_t i = 0; i < v->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_counter(r, &here, v->items[i], &map->counters[i]);
        map->n = (uint32_t)i + 1;
    }
    return err;
}

int world_read_perf_events(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct {
        const struct json *maps, *program;
    } t = {0};
    const struct world_member members[] = {{"maps", world_take_json, 0, false},
                                           {"program", world_take_json, sizeof(void *), false}};
    struct json_path maps = {.up = at, .name = "maps"}, program = {.up = at, .name = "program"};
    struct world *w = r->w;
    int err = world_members(r, at, v, members, 2, &t);

    if (!err && t.program)
        err = take_counter(r, &program, t.program, &w->prog_counter);
    if (!err && t.maps)
        err = world_is_object(r, &maps, t.maps);
    if (err || !t.maps)
        return err;
    w->perf_maps = ARENA_ARRAY(&w->arena, struct world_counters, t.maps->length + 1);
    if (!w->perf_maps)
        return no_memory(r);
    for (size_t i = 0; i < t.maps->length && !err; i++) {
        struct json_path here = {.up = &maps, .name = t.maps->names[i]};

        err = take_map(r, &here, t.maps->items[i], here.name, &w->perf_maps[i]);
        w->n_perf_maps = (uint32_t)i + 1;
    }
    return err;
}

/* Names of maps end after 15 bytes, as Linux keeps them. */
const struct world_counter *world_counter(const struct world *world, const char *map, uint32_t index)
{
    enum { NAME = 15 };

    for (uint32_t i = 0; i < world->n_perf_maps; i++) {
        const struct world_counters *m = &world->perf_maps[i];

        if (!strncmp(m->map, map, NAME))
            return index < m->n && m->counters[index].n ? &m->counters[index] : NULL;
    }
    return NULL;
}

/* ---- Branches ---- */

struct branch_text {
    uint64_t from, to;
    uint32_t cycles, type;
    bool mispredicted, in_tx, aborted;
};

static int take_branch(struct world_reader *r, const struct json_path *at, const struct json *v,
                       struct world_branch *out)
{
    static const struct world_member members[] = {
        {"from", world_take_u64, offsetof(struct branch_text, from), true},
        {"to", world_take_u64, offsetof(struct branch_text, to), true},
        {"cycles", world_take_u32, offsetof(struct branch_text, cycles), false},
        {"type", world_take_u32, offsetof(struct branch_text, type), false},
        {"mispredicted", world_take_bool, offsetof(struct branch_text, mispredicted), false},
        {"in_tx", world_take_bool, offsetof(struct branch_text, in_tx), false},
        {"aborted", world_take_bool, offsetof(struct branch_text, aborted), false},
    };
    struct branch_text t = {0};
    int err = world_members(r, at, v, members, sizeof(members) / sizeof(members[0]), &t);

    if (!err && (t.cycles > UINT16_MAX || t.type > 15))
        err = WORLD_REFUSE(r, at, v, "a branch has 16 bits for its cycles and 4 for its type");
    *out = (struct world_branch){.from = t.from,
                                 .to = t.to,
                                 .mispred = t.mispredicted,
                                 .predicted = !t.mispredicted,
                                 .in_tx = t.in_tx,
                                 .abort = t.aborted,
                                 .cycles = t.cycles,
                                 .type = t.type};
    return err;
}

int world_read_branches(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_array(r, at, v);

    if (err)
        return err;
    w->branches = ARENA_ARRAY(&w->arena, struct world_branch, v->length + 1);
    if (!w->branches)
        return no_memory(r);
    for (size_t i = 0; i < v->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_branch(r, &here, v->items[i], &w->branches[i]);
        w->n_branches = (uint32_t)i + 1;
    }
    return err;
}

/* ---- Hashes of files ---- */

struct hash_text {
    const char *of, *algorithm;
    const struct json *hash;
};

/* enum hash_algo of Linux, as far as IMA is configured with them. */
static const struct {
    const char *name;
    uint32_t number, size;
} algorithms[] = {{"md5", 1, 16},    {"sha1", 2, 20},   {"sha256", 4, 32}, {"sha384", 5, 48},
                  {"sha512", 6, 64}, {"sha224", 7, 28}, {"sm3", 17, 32},   {"wp512", 13, 64}};

static int take_hash(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_hash *out)
{
    static const struct world_member members[] = {
        {"of", world_take_text, offsetof(struct hash_text, of), true},
        {"algorithm", world_take_text, offsetof(struct hash_text, algorithm), true},
        {"hash", world_take_json, offsetof(struct hash_text, hash), true},
    };
    struct json_path here = {.up = at, .name = "hash"};
    struct hash_text t = {0};
    unsigned k = 0;
    unsigned char *bytes;
    size_t size;
    int err = world_members(r, at, v, members, sizeof(members) / sizeof(members[0]), &t);

    if (err)
        return err;
    while (k < sizeof(algorithms) / sizeof(algorithms[0]) && strcmp(algorithms[k].name, t.algorithm))
        k++;
    if (k == sizeof(algorithms) / sizeof(algorithms[0]))
        return WORLD_REFUSE(r, at, v, "the algorithm is none of md5, sha1, sha224, sha256, sha384, sha512, sm3, wp512");
    err = world_bytes(r, &here, t.hash, &bytes, &size);
    if (!err && size != algorithms[k].size)
        err = WORLD_REFUSE(r, &here, t.hash, "%s has %u bytes", t.algorithm, algorithms[k].size);
    if (!err && *t.of != '&')
        err = WORLD_REFUSE(r, at, v, "\"of\" is a reference to a struct inode or a struct file: \"&name\"");
    if (err)
        return err;
    out->algorithm = algorithms[k].number;
    out->size = algorithms[k].size;
    memcpy(out->bytes, bytes, size);
    return world_refer(r, at, v, t.of, &out->addr);
}

int world_read_hashes(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_array(r, at, v);

    if (err)
        return err;
    w->hashes = ARENA_ARRAY(&w->arena, struct world_hash, v->length + 1);
    if (!w->hashes)
        return no_memory(r);
    for (size_t i = 0; i < v->length && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        err = take_hash(r, &here, v->items[i], &w->hashes[i]);
        w->n_hashes = (uint32_t)i + 1;
    }
    return err;
}

const struct world_hash *world_hash(const struct world *world, uint64_t addr)
{
    for (uint32_t i = 0; i < world->n_hashes && addr; i++)
        if (world->hashes[i].addr == addr)
            return &world->hashes[i];
    return NULL;
}
