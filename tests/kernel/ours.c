/* Our side: opens and links an object as the command does, and verifies its programs. */
#include "tests/kernel/pair.h"

#include "loader/object.h"
#include "verifier/verify.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct ours {
    struct object *obj;
    int linked; /* 0, or why not */
    char why[256];
};

struct listener {
    char *text;
    size_t n;
};

static void listen_to(void *ctx, enum skep_log_level level, const char *text)
{
    struct listener *l = ctx;

    if (level == SKEP_LOG_ERROR)
        snprintf(l->text, l->n, "%s", text);
}

static bool read_const(void *ctx, const struct map_def *map, uint64_t off, unsigned size, uint64_t *value)
{
    const struct object *obj = ctx;

    for (uint32_t i = 0; i < obj->n_maps; i++) {
        const struct object_map *m = &obj->maps[i];

        if (strcmp(m->def.name, map->name))
            continue;
        if (!m->internal || !m->data || !(map->flags & MAP_F_RDONLY_PROG) || size > 8 || off > map->value_size ||
            size > map->value_size - off)
            return false;
        *value = 0;
        memcpy(value, (const char *)m->data + off, size);
        return true;
    }
    return false;
}

struct ours *ours_open(const char *path, char *why, size_t n)
{
    struct ours *o = calloc(1, sizeof(*o));
    struct listener l = {why, n};
    struct log log = {.fn = listen_to, .ctx = &l, .max = SKEP_LOG_ERROR};
    struct object_link_opts link = {0};

    if (!o)
        return NULL;
    if (object_open_file(path, NULL, &log, &o->obj)) {
        free(o);
        return NULL;
    }
    for (uint32_t i = 0; i < o->obj->n_progs; i++)
        o->obj->progs[i].autoload = true;
    l = (struct listener){o->why, sizeof(o->why)};
    o->linked = object_link(o->obj, &link, &log);
    return o;
}

bool ours_program(const struct ours *o, unsigned i, struct pair *out)
{
    if (i >= o->obj->n_progs)
        return false;
    snprintf(out->program, sizeof(out->program), "%s", o->obj->progs[i].name);
    snprintf(out->section, sizeof(out->section), "%s", o->obj->progs[i].section);
    return true;
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void ours_judge(struct ours *o, unsigned i, unsigned repeat, struct judgement *out)
{
    static const enum judged judged[] = {
        [VERDICT_ACCEPT] = JUDGED_ACCEPT, [VERDICT_REJECT] = JUDGED_REJECT, [VERDICT_UNSUPPORTED] = JUDGED_UNKNOWN};
    const struct object_prog *p = &o->obj->progs[i];
    struct verify_opts opts = {.read_const = read_const, .read_const_ctx = o->obj};

    memset(out, 0, sizeof(*out));
    if (!p->prog) {
        snprintf(out->message, sizeof(out->message), "%s%s", o->linked ? "linking failed: " : "no type of program",
                 o->linked ? o->why : "");
        return;
    }
    for (unsigned n = 0; n < (repeat ? repeat : 1); n++) {
        struct verify_result result;
        uint64_t begin = cpu_ns(), us;

        if (verify_prog(p->prog, &opts, NULL, &result)) {
            snprintf(out->message, sizeof(out->message), "out of memory");
            return;
        }
        us = (cpu_ns() - begin + 500) / 1000;
        if (!n || us < out->time_us)
            out->time_us = us;
        out->judged = judged[result.verdict];
        out->processed = result.insns_processed;
        out->states = result.states_total;
        out->memory = result.memory_peak;
        snprintf(out->reason, sizeof(out->reason), "%s", result.reason ? reason_name(result.reason) : "");
        snprintf(out->message, sizeof(out->message), "%s", result.message);
        verify_result_free(&result);
    }
}
