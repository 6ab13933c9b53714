/*
 * `skep diff`: an object on every engine and in Linux, side by side. Each program runs on its inputs, on each side on
 * maps of its own that start alike; after every run return value, packet and events are compared, at the end what
 * stands in the maps. The first side in which the program runs, counted from Linux on, is what the others are compared
 * with. What a side cannot do is told and is no difference; what no two runs have in common (clocks, random numbers) is
 * named, since differences may come from it.
 */
#include "cli/diff.h"
#include "vm/abi/map_types.h"
#include "vm/abi/prog_types.h"
#include "vm/btf/show.h"
#include "vm/ctx/text.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SIDES = 3, LINUX = 2 };

struct diff {
    struct cli *c;
    const struct diff_opts *o;
    struct side sides[SIDES];
    struct side *base; /* what the others are compared with; NULL: no two sides run */
    struct diff_inputs in;
    uint64_t input;                   /* in work, from 1; 0: after all of them */
    const struct side *side;          /* compared with base */
    char what[200];                   /* "return value", "packet", "map lens, key 7" ... */
    uint64_t differences, all, shown; /* of this program; of all programs */
    uint64_t programs, unequal;
};

/* ---- Telling of a difference ---- */

static void place(const struct diff *d, char *out, size_t room)
{
    if (d->input)
        snprintf(out, room, "input %" PRIu64 ": ", d->input);
    else
        *out = 0;
}

static void differs(struct diff *d, const char *field, const char *mine, const char *theirs)
{
    char at[40];
    d->differences++;
    if (d->shown++ >= d->o->shown)
        return;
    if (d->c->json) {
        struct json_writer *w = &d->c->w;
        json_object_begin(w);
        json_str_at(w, "side", d->side->name);
        json_str_at(w, "against", d->base->name);
        if (d->input)
            json_u64_at(w, "input", d->input);
        json_str_at(w, "what", d->what);
        json_str_at(w, "field", field);
        json_str_at(w, "value", mine);
        json_str_at(w, "other", theirs);
        json_object_end(w);
        return;
    }
    place(d, at, sizeof(at));
    printf("  differs: %s%s%s%s: %s %s, %s %s\n", at, d->what, *field && *field != '.' && *field != '[' ? " " : "",
           field, d->side->name, mine, d->base->name, theirs);
}

static void on_field(void *ctx, const char *path, const char *a, const char *b)
{
    struct diff *d = ctx;
    differs(d, path, a, b);
}

/* ---- Values ---- */

static void text_of(const struct diff *d, uint32_t type, const void *data, uint32_t size, struct buf *out)
{
    const struct btf *btf = d->base->obj->obj->btf;
    struct json_writer w = {.out = out};
    buf_clear(out);
    if (btf && type && btf_size(btf, type) >= 0 && (uint64_t)btf_size(btf, type) <= size) {
        btf_show_json(btf, type, data, size, &w);
    } else {
        struct buf hex = {0};
        hex_bytes(&hex, data, size);
        json_string(&w, buf_text(&hex));
        buf_free(&hex);
    }
}

/* Bytes that differ where no field does are padding, which Linux leaves as it was and nobody reads. */
static void compare_value(struct diff *d, uint32_t type, const void *a, const void *b, uint32_t size)
{
    struct buf x = {0}, y = {0};
    if (!memcmp(a, b, size))
        return;
    text_of(d, type, a, size, &x);
    text_of(d, type, b, size, &y);
    diff_json(buf_text(&x), buf_text(&y), 8, on_field, d);
    buf_free(&x);
    buf_free(&y);
}

/* ---- Maps ---- */

struct elements {
    const struct skep_map *a, *b;
    unsigned char *key, *next, *x, *y;
    struct buf key_text;
};

static void compare_element(struct diff *d, struct elements *e)
{
    uint32_t step, other, cpus = cli_slots(e->a, &step), theirs = cli_slots(e->b, &other);
    uint32_t size = skep_map__value_size(e->a), key_size = skep_map__key_size(e->a);
    text_of(d, skep_map__btf_key_type_id(e->a), e->key, key_size, &e->key_text);
    snprintf(d->what, sizeof(d->what), "map %s, key %.100s", skep_map__name(e->a), buf_text(&e->key_text));
    int mine = skep_map__lookup_elem(e->a, e->key, key_size, e->x, skep_map__host_value_size(e->a), 0);
    int yours = skep_map__lookup_elem(e->b, e->key, key_size, e->y, skep_map__host_value_size(e->b), 0);
    if (mine || yours) {
        if (mine != yours)
            differs(d, "", mine ? "has none" : "has one", yours ? "has none" : "has one");
        return;
    }
    for (uint32_t cpu = 0; cpu < cpus && cpu < theirs; cpu++) {
        if (cpus > 1)
            snprintf(d->what, sizeof(d->what), "map %s, key %.100s, cpu %u", skep_map__name(e->a),
                     buf_text(&e->key_text), cpu);
        compare_value(d, skep_map__btf_value_type_id(e->a), e->x + (size_t)cpu * step, e->y + (size_t)cpu * other,
                      size);
    }
}

/* Every key of `a`; of those of `b` only what `a` lacks, the second time round. */
static void compare_keys(struct diff *d, struct elements *e, bool missing)
{
    uint32_t key_size = skep_map__key_size(e->a);
    const struct skep_map *walked = missing ? e->b : e->a;
    for (const void *at = NULL; !skep_map__get_next_key(walked, at, e->next, key_size); at = e->key) {
        memcpy(e->key, e->next, key_size);
        if (!missing || skep_map__lookup_elem(e->a, e->key, key_size, e->x, skep_map__host_value_size(e->a), 0))
            compare_element(d, e);
    }
}

static void compare_elements(struct diff *d, const struct skep_map *a, const struct skep_map *b)
{
    struct elements e = {.a = a,
                         .b = b,
                         .key = calloc(1, (size_t)skep_map__key_size(a) + 8),
                         .next = calloc(1, (size_t)skep_map__key_size(a) + 8),
                         .x = calloc(1, (size_t)skep_map__host_value_size(a) + 8),
                         .y = calloc(1, (size_t)skep_map__host_value_size(b) + 8)};
    if (e.key && e.next && e.x && e.y) {
        compare_keys(d, &e, false);
        compare_keys(d, &e, true);
    }
    free(e.key);
    free(e.next);
    free(e.x);
    free(e.y);
    buf_free(&e.key_text);
}

static void compare_vars(struct diff *d)
{
    const struct object *o = d->base->obj->obj;
    for (uint32_t i = 0; i < o->n_vars; i++) {
        const struct object_var *v = &o->vars[i];
        const void *a = variable_at(d->side->obj, v), *b = variable_at(d->base->obj, v);
        snprintf(d->what, sizeof(d->what), "variable %s", v->name);
        if (a && b && !object_map_is_constant(&o->maps[v->map]))
            compare_value(d, v->btf_id, a, b, v->size);
    }
}

static void compare_maps(struct diff *d)
{
    const struct object *o = d->base->obj->obj;
    compare_vars(d);
    for (uint32_t i = 0; i < o->n_maps; i++)
        if (!o->maps[i].internal && state_is_table(&d->side->obj->maps[i]) && state_is_table(&d->base->obj->maps[i]))
            compare_elements(d, &d->side->obj->maps[i], &d->base->obj->maps[i]);
}

/* ---- One run ---- */

static void result_text(const struct diff *d, const struct side_result *r, char *out, size_t room)
{
    const char *verdict = skep_prog_type_verdict(skep_program__type(d->base->prog), r->retval);
    if (r->trapped)
        snprintf(out, room, "traps (%s)", r->trap);
    else if (r->err)
        snprintf(out, room, "refuses the input (%s)", strerror(-r->err));
    else if (verdict)
        snprintf(out, room, "%u (%s)", r->retval, verdict);
    else
        snprintf(out, room, "%u", r->retval);
}

static void compare_packet(struct diff *d, const struct buf *a, const struct buf *b)
{
    const unsigned char *x = (const unsigned char *)a->data, *y = (const unsigned char *)b->data;
    char mine[40], theirs[40], field[120], name[32];
    snprintf(d->what, sizeof(d->what), "packet");
    if (a->len != b->len) {
        snprintf(mine, sizeof(mine), "%zu bytes", a->len);
        snprintf(theirs, sizeof(theirs), "%zu bytes", b->len);
        differs(d, "length", mine, theirs);
        return;
    }
    for (size_t i = 0; i < a->len;) {
        size_t end = i + 1, n = 0;
        if (x[i] == y[i]) {
            i++;
            continue;
        }
        while (end < a->len && x[end] != y[end])
            end++;
        for (size_t k = i; k < end && n + 3 < sizeof(mine); k++, n += 2) {
            snprintf(mine + n, 3, "%02x", x[k]);
            snprintf(theirs + n, 3, "%02x", y[k]);
        }
        diff_packet_field(y, (uint32_t)b->len, (uint32_t)i, name, sizeof(name));
        snprintf(field, sizeof(field), "bytes %zu to %zu%s%s%s", i, end - 1, *name ? " (" : "", name, *name ? ")" : "");
        differs(d, field, mine, theirs);
        i = end;
    }
}

/* The type that an event of a map has, where that is sure: as `skep run` shows it. */
static void compare_records(struct diff *d, const struct buf *a, const struct buf *b, uint32_t type)
{
    size_t i = 0, j = 0;
    for (unsigned n = 1; i < a->len || j < b->len; n++) {
        uint32_t x = 0, y = 0;
        char mine[32] = "has none", theirs[32] = "has none";
        char map[128];
        if (i < a->len)
            memcpy(&x, a->data + i, 4), snprintf(mine, sizeof(mine), "%u bytes", x);
        if (j < b->len)
            memcpy(&y, b->data + j, 4), snprintf(theirs, sizeof(theirs), "%u bytes", y);
        snprintf(map, sizeof(map), "%.120s", d->what);
        snprintf(d->what, sizeof(d->what), "%s, event %u", map, n);
        if (i < a->len && j < b->len && x == y)
            compare_value(d, type, a->data + i + 4, b->data + j + 4, x);
        else
            differs(d, "", mine, theirs);
        snprintf(d->what, sizeof(d->what), "%s", map);
        i += i < a->len ? 4 + (size_t)x : 0;
        j += j < b->len ? 4 + (size_t)y : 0;
    }
}

static uint32_t event_type(const struct skep_map *map)
{
    return skep_map__type(map) == SKEP_MAP_TYPE_RINGBUF ? skep_map__btf_value_type_id(map) : 0;
}

static void compare_events(struct diff *d)
{
    for (uint32_t i = 0; i < d->base->obj->obj->n_maps; i++) {
        const struct buf *a = &d->side->events[i], *b = &d->base->events[i];
        snprintf(d->what, sizeof(d->what), "map %s", skep_map__name(&d->base->obj->maps[i]));
        if (a->len != b->len || memcmp(buf_text(a), buf_text(b), a->len))
            compare_records(d, a, b, event_type(&d->base->obj->maps[i]));
    }
}

/* By its fields where they have names; pointers are another side's. A side that tells nothing is not asked. */
static void compare_ctx(struct diff *d, const struct buf *a, const struct buf *b)
{
    const struct prog_type *type = prog_type_find(skep_program__type(d->base->prog));
    struct buf x = {0}, y = {0};
    struct json_writer w = {.out = &x}, v = {.out = &y};
    if (!type || !type->ctx || a->len != b->len || !a->len || !memcmp(a->data, b->data, a->len))
        return;
    snprintf(d->what, sizeof(d->what), "context");
    if (ctx_text_names(type->ctx) && a->len >= type->ctx->size) {
        ctx_text_show(type->ctx, (const unsigned char *)a->data, (uint32_t)a->len, &w);
        ctx_text_show(type->ctx, (const unsigned char *)b->data, (uint32_t)b->len, &v);
        diff_json(buf_text(&x), buf_text(&y), 8, on_field, d);
    } else {
        compare_value(d, 0, a->data, b->data, (uint32_t)a->len);
    }
    buf_free(&x);
    buf_free(&y);
}

static void compare_run(struct diff *d, const struct side_result *a, const struct side_result *b)
{
    char mine[320], theirs[320];
    snprintf(d->what, sizeof(d->what), "return value");
    if (a->err != b->err || a->trapped != b->trapped || (!a->err && a->retval != b->retval)) {
        result_text(d, a, mine, sizeof(mine));
        result_text(d, b, theirs, sizeof(theirs));
        differs(d, "", mine, theirs);
    } else if (!a->err) {
        compare_packet(d, &a->data, &b->data);
        compare_ctx(d, &a->ctx, &b->ctx);
    }
    compare_events(d);
}

static void choose_base(struct diff *d)
{
    unsigned running = 0;
    d->base = NULL;
    for (int i = 0; i < SIDES; i++)
        if (d->sides[i].state == SIDE_RUNS) {
            d->base = &d->sides[i]; /* the last: Linux, where it runs */
            running++;
        }
    if (running < 2)
        d->base = NULL;
}

static void run_input(struct diff *d, const struct diff_input *in)
{
    struct side_result results[SIDES];
    memset(results, 0, sizeof(results));
    for (int i = 0; i < SIDES; i++)
        if (d->sides[i].state == SIDE_RUNS)
            side_run(&d->sides[i], in, &results[i]);
    choose_base(d); /* a first run may have shown that a side cannot */
    for (int i = 0; i < SIDES && d->base; i++) {
        d->side = &d->sides[i];
        if (d->side->state == SIDE_RUNS && d->side != d->base)
            compare_run(d, &results[i], &results[d->base - d->sides]);
    }
    for (int i = 0; i < SIDES; i++) {
        buf_free(&results[i].data);
        buf_free(&results[i].ctx);
    }
}

/* ---- Verdicts ---- */

/* A verifier that says no where another says yes. */
static void compare_verdicts(struct diff *d)
{
    struct side *mine = NULL, *theirs = &d->sides[LINUX];
    for (int i = 0; i < LINUX && !mine; i++)
        if (d->sides[i].state != SIDE_CANNOT && !d->sides[i].unjudged)
            mine = &d->sides[i];
    if (!mine || theirs->state == SIDE_CANNOT || mine->state == theirs->state)
        return;
    d->side = mine;
    d->base = theirs;
    snprintf(d->what, sizeof(d->what), "verdict");
    differs(d, "", mine->state == SIDE_RUNS ? "accepts" : "rejects",
            theirs->state == SIDE_RUNS ? "accepts" : "rejects");
}

/* ---- One program ---- */

static int open_sides(struct diff *d, const char *prog)
{
    static const char *const engines[SIDES] = {"interp", "jit", NULL};
    int status = 0;
    for (int i = 0; i < SIDES && !status; i++)
        status = side_open(d->c, d->o, engines[i], prog, &d->sides[i]);
    return status;
}

static void json_begin(struct diff *d, const char *prog, uint32_t type)
{
    struct json_writer *w = &d->c->w;
    const char *name = skep_prog_type_str(type);
    json_object_begin(w);
    json_str_at(w, "program", prog);
    json_str_at(w, "type", name ? name : "unknown");
    json_u64_at(w, "inputs", d->in.n);
    json_name(w, "differences");
    json_array_begin(w);
}

static void end_program(struct diff *d)
{
    if (d->c->json) {
        json_array_end(&d->c->w);
        json_u64_at(&d->c->w, "differ", d->differences);
        json_name(&d->c->w, "sides");
        json_array_begin(&d->c->w);
    }
    for (int i = 0; i < SIDES; i++)
        side_show(d->c, &d->sides[i]);
    if (d->c->json)
        json_array_end(&d->c->w);
    show_varying(d->c, d->sides[0].obj ? &d->sides[0] : &d->sides[1], d->differences);
    if (d->c->json)
        json_object_end(&d->c->w);
    else if (d->differences > d->o->shown)
        printf("  ... and %" PRIu64 " differences more\n", d->differences - d->o->shown);
    if (!d->c->json)
        printf("  %s\n", d->differences                     ? "they differ"
                         : d->base                          ? "the same on every side that runs it"
                         : d->sides[0].state == SIDE_RUNS   ? "nothing to compare it with"
                         : d->sides[0].state == SIDE_CANNOT ? "it runs nowhere here"
                                                            : "rejected alike");
    d->all += d->differences;
    d->unequal += d->differences != 0;
    d->programs++;
}

static int diff_program(struct diff *d, const char *prog, uint32_t type, const char *section)
{
    int status = diff_inputs_make(d->c, d->o, type, section, &d->in);
    d->differences = d->shown = 0;
    if (!status)
        status = open_sides(d, prog);
    if (!status) {
        const char *name = skep_prog_type_str(type);
        if (d->c->json)
            json_begin(d, prog, type);
        else
            printf("%s (%s), %" PRIu64 " input%s:\n", prog, name ? name : "unknown", d->in.n, d->in.n == 1 ? "" : "s");
        compare_verdicts(d);
        choose_base(d);
        for (d->input = 1; d->input <= d->in.n && d->base; d->input++)
            run_input(d, &d->in.all[d->input - 1]);
        d->input = 0;
        for (int i = 0; i < SIDES && d->base; i++) {
            d->side = &d->sides[i];
            if (d->side->state == SIDE_RUNS && d->side != d->base)
                compare_maps(d);
        }
        end_program(d);
    }
    for (int i = 0; i < SIDES; i++)
        side_close(&d->sides[i]);
    diff_inputs_free(&d->in);
    return status;
}

/* ---- The command ---- */

static bool take_value(struct args *a, const char *name, const char **out, bool *bad)
{
    const char *v = name[0] == '-' ? args_option(a, name, bad) : args_word(a, name, bad);
    if (v)
        *out = v;
    return v || *bad;
}

static bool take_number(struct args *a, const char *name, uint64_t max, uint64_t *out, bool *bad)
{
    const char *v = NULL;
    if (!take_value(a, name, &v, bad))
        return false;
    if (v)
        *bad = !args_number(a, name, v, max, out);
    return true;
}

static bool take_list(struct args *a, const char *name, const char **list, uint32_t *n, bool *bad)
{
    const char *v = NULL;
    if (!take_value(a, name, &v, bad))
        return false;
    if (v)
        list[(*n)++] = v;
    return true;
}

static int parse(struct cli *c, struct diff_opts *o, int argc, char **argv)
{
    struct args a = {.c = c, .cmd = &cmd_diff, .argc = argc, .argv = argv};
    bool bad = false;
    while (a.at < argc && !bad) {
        if (args_global(&a) || take_value(&a, "data_in", &o->data_in, &bad) ||
            take_value(&a, "pcap_in", &o->pcap_in, &bad) || take_value(&a, "ctx_in", &o->ctx_in, &bad) ||
            take_value(&a, "--world", &o->world_file, &bad) || take_value(&a, "--btf", &o->btf, &bad) ||
            take_value(&a, "--kconfig", &o->kconfig, &bad) || take_number(&a, "--random", 1 << 19, &o->random, &bad) ||
            take_number(&a, "--seed", UINT64_MAX, &o->seed, &bad) ||
            take_number(&a, "--packets", 1 << 19, &o->packets, &bad) ||
            take_number(&a, "--show", UINT32_MAX, &o->shown, &bad) ||
            take_list(&a, "--set", o->sets, &o->n_sets, &bad) || take_list(&a, "--map", o->maps, &o->n_maps, &bad))
            continue;
        const char *word = a.argv[a.at++];
        if (word[0] == '-' && word[1])
            return cli_usage(c, &cmd_diff, "there is no option '%s'", word);
        if (o->object && o->prog)
            return cli_usage(c, &cmd_diff, "'%s' is one word too many", word);
        *(o->object ? &o->prog : &o->object) = word;
    }
    if (bad)
        return STATUS_USAGE;
    if (!o->object)
        return cli_usage(c, &cmd_diff, "an object is missing");
    if (!strcmp(o->object, "-"))
        return cli_usage(c, &cmd_diff, "the object is read several times and cannot come from standard input");
    if (o->pcap_in && (o->data_in || o->ctx_in))
        return cli_usage(c, &cmd_diff, "pcap_in excludes data_in and ctx_in");
    return 0;
}

static int each_program(struct diff *d)
{
    int status = 0;
    SKEP_OPTS(skep_vm_opts, vm_opts, .cpus = 1, .log = cli_on_log, .log_ctx = d->c, .log_level = d->c->level);
    SKEP_OPTS(skep_object_open_opts, opts, .vm_opts = &vm_opts);
    struct skep_object *obj = cli_open(d->c, d->o->object, &opts, &status);
    struct skep_program *p = obj ? skep_object__next_program(obj, NULL) : NULL;
    if (obj && d->o->prog && !(p = cli_program(d->c, obj, d->o->prog, &status)))
        obj = (skep_object__close(obj), NULL);
    if (!obj)
        return status;
    status = 0;
    if (d->c->json) {
        json_name(&d->c->w, "programs");
        json_array_begin(&d->c->w);
    }
    for (; p && !status; p = d->o->prog ? NULL : skep_object__next_program(obj, p))
        status = diff_program(d, skep_program__name(p), skep_program__type(p), skep_program__section_name(p));
    if (d->c->json)
        json_array_end(&d->c->w);
    else if (!status && d->programs > 1)
        printf("%" PRIu64 " of %" PRIu64 " programs differ\n", d->unequal, d->programs);
    skep_object__close(obj);
    return status;
}

static int open_world(struct cli *c, struct diff_opts *o)
{
    SKEP_OPTS(skep_world_open_opts, opts, .btf_custom_path = o->btf, .name = o->world_file, .log = cli_on_log,
              .log_ctx = c, .log_level = c->level);
    struct buf text = {0};
    int status = file_read(c, o->world_file, CLI_MAX_WORLD, &text);
    if (!status && !(o->world = skep_world__open_mem(buf_text(&text), text.len, &opts)))
        status = c->failed ? STATUS_USAGE : cli_fail(c, STATUS_USAGE, "%s: %s", o->world_file, strerror(errno));
    buf_free(&text);
    return status;
}

static int run_diff(struct cli *c, int argc, char **argv)
{
    struct diff_opts o = {.packets = 1 << 19, .shown = 20};
    struct diff d = {.c = c, .o = &o};
    struct buf kconfig = {0};
    o.sets = calloc((size_t)argc + 1, sizeof(*o.sets));
    o.maps = calloc((size_t)argc + 1, sizeof(*o.maps));
    int status = o.sets && o.maps ? parse(c, &o, argc, argv) : cli_fail(c, STATUS_USAGE, "out of memory");
    if (!status && o.kconfig)
        status = file_read(c, o.kconfig, 4 << 20, &kconfig);
    o.kconfig_text = kconfig.len ? kconfig.data : NULL;
    if (!status && o.world_file)
        status = open_world(c, &o);
    if (!status)
        status = each_program(&d);
    skep_world__free(o.world);
    free(o.sets);
    free(o.maps);
    buf_free(&kconfig);
    return status ? status : d.all ? STATUS_REFUSED : STATUS_OK;
}

const struct command cmd_diff = {
    .name = "diff",
    .run = run_diff,
    .usage = "OBJ [PROG] [data_in FILE] [ctx_in FILE] [pcap_in FILE] [--random N] [OPTION]...",
    .summary = "run a program on every engine and in Linux, and compare",
    .help =
        "Runs PROG, or each program, on the same inputs in the interpreter, as machine code and in Linux\n"
        "(BPF_PROG_TEST_RUN), and compares verdict, return value, packet, context, events, maps and variables. Differences are\n"
        "shown by field. What a side cannot run is said and not counted. Exit status 1 when anything differs.\n"
        "\n"
        "  data_in FILE, ctx_in FILE   the packet and the context, as for `skep run`\n"
        "  pcap_in FILE                each packet of a capture; --packets N: the first N\n"
        "  --random N, --seed N        and N random inputs, which the seed determines\n"
        "  --world FILE                what runs find in userspace; its contexts are inputs, in Linux too\n"
        "  --set VAR=VALUE             global variable before load\n"
        "  --map NAME=FILE.json        fill a map, on every side\n"
        "  --btf FILE, --kconfig FILE  types and CONFIG_ lines of the target\n"
        "  --show N                    differences of a program that are shown (20)\n",
};
