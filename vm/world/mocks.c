/* Section `mocks`: what stands in a helper's or kernel function's place, call by call. */
#include "vm/mock.h"
#include "vm/world/errors.h"
#include "vm/world/read.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

struct mock_text {
    const struct json *value, *error, *out, *string;
    uint32_t nth, from, arg;
};

static const struct world_member members[] = {
    {"return", world_take_json, offsetof(struct mock_text, value), false},
    {"error", world_take_json, offsetof(struct mock_text, error), false},
    {"out", world_take_json, offsetof(struct mock_text, out), false},
    {"string", world_take_json, offsetof(struct mock_text, string), false},
    {"arg", world_take_u32, offsetof(struct mock_text, arg), false},
    {"nth", world_take_u32, offsetof(struct mock_text, nth), false},
    {"from", world_take_u32, offsetof(struct mock_text, from), false},
};

static int take_error(struct world_reader *r, const struct json_path *at, const struct json *v, uint64_t *ret)
{
    int64_t n = v->kind == JSON_STRING ? world_errno(v->string) : 0;
    int err = n ? 0 : world_take_i64(r, at, v, &n);

    if (err)
        return err;
    n = n > 0 ? -n : n;
    if (!n || n < -4095)
        return WORLD_REFUSE(r, at, v, "an error was expected: \"ENOENT\", or its number up to 4095");
    *ret = (uint64_t)n;
    return 0;
}

static int take_out(struct world_reader *r, const struct json_path *at, const struct mock_text *t,
                    struct world_mock_step *step)
{
    struct json_path here = {.up = at, .name = t->out ? "out" : "string"};
    const char *text = NULL;
    int err = 0;

    if (t->out) {
        err = world_bytes(r, &here, t->out, &step->out, &step->out_size);
    } else if (t->string) {
        err = world_take_text(r, &here, t->string, &text);
        step->out = (unsigned char *)(uintptr_t)text;
        step->out_size = text ? strlen(text) + 1 : 0;
    }
    step->out_arg = t->arg;
    return err;
}

/* A number, null (the helper itself), or an object. t: what an object said. */
static int take_step(struct world_reader *r, const struct json_path *at, const struct json *v, const char *name,
                     struct world_mock_step *step, struct mock_text *t)
{
    const struct helper *helper = helper_by_name(name);
    struct json_path here = {.up = at, .name = "return"};
    const char *why;
    int err;

    if (v->kind == JSON_NULL) {
        step->real = true;
        return 0;
    }
    if (v->kind != JSON_OBJECT) {
        err = world_take_i64(r, at, v, &step->ret);
    } else {
        err = world_members(r, at, v, members, sizeof(members) / sizeof(members[0]), t);
        if (!err && (t->value && t->error))
            err = WORLD_REFUSE(r, at, v, "\"return\" and \"error\" exclude each other");
        if (!err && t->value)
            err = world_take_i64(r, &here, t->value, &step->ret);
        here.name = "error";
        if (!err && t->error)
            err = take_error(r, &here, t->error, &step->ret);
        if (!err)
            err = take_out(r, at, t, step);
    }
    if (err)
        return err;
    why = helper ? mock_unfit(helper, step->ret) : NULL;
    return why ? WORLD_REFUSE(r, at, v, "bpf_%s: %s", name, why) : 0;
}

static int take_steps(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_mock *m)
{
    bool list = v->kind == JSON_ARRAY;
    struct mock_text t = {0};
    int err = 0;

    if (list && !v->length)
        return WORLD_REFUSE(r, at, v, "a value, or a list of at least one, was expected");
    m->n_steps = list ? (uint32_t)v->length : 1;
    m->steps = ARENA_ARRAY(&r->w->arena, struct world_mock_step, m->n_steps);
    if (!m->steps)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    if (!list) {
        err = take_step(r, at, v, m->name, &m->steps[0], &t);
        m->nth = t.nth;
        m->from = t.from;
        return err || !(t.nth && t.from) ? err : WORLD_REFUSE(r, at, v, "\"nth\" and \"from\" exclude each other");
    }
    for (uint32_t i = 0; i < m->n_steps && !err; i++) {
        struct json_path here = {.up = at, .index = i};

        memset(&t, 0, sizeof(t));
        err = take_step(r, &here, v->items[i], m->name, &m->steps[i], &t);
        if (!err && (t.nth || t.from))
            err = WORLD_REFUSE(r, &here, v->items[i],
                               "\"nth\" and \"from\" do not go into a list: null is the helper itself");
    }
    return err;
}

int world_read_mocks(struct world_reader *r, const struct json_path *at, const struct json *v)
{
    struct world *w = r->w;
    int err = world_is_object(r, at, v);

    if (err)
        return err;
    if (v->length > MOCK_SLOTS)
        return WORLD_REFUSE(r, at, v, "more than %d mocks", MOCK_SLOTS);
    w->mocks = ARENA_ARRAY(&w->arena, struct world_mock, v->length + 1);
    if (!w->mocks)
        return log_fail(r->log, -ENOMEM, "no memory for a world of this size");
    for (size_t i = 0; !err && i < v->length; i++) {
        struct json_path here = {.up = at, .name = v->names[i]};
        const char *name = v->names[i];

        name += strncmp(name, "bpf_", 4) ? 0 : 4;
        w->mocks[i].name = name;
        for (size_t k = 0; k < i && !err; k++)
            if (!strcmp(w->mocks[k].name, name))
                err = WORLD_REFUSE(r, &here, v->items[i], "it is mocked twice");
        if (!err)
            err = take_steps(r, &here, v->items[i], &w->mocks[i]);
        w->n_mocks = (uint32_t)i + 1;
    }
    return err;
}
