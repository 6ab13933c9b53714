/*
 * The maps of all random programs, as ours: filled anew before each run, as far as the program names them.
 */
#include "fuzz/world.h"
#include "vm/abi/prog_types.h"

static int make_tail(struct world *w, const char *type, const struct code_opts *opts, const struct engine *engine,
                     struct code **out)
{
    struct skep_insn insns[GEN_TAIL_INSNS];
    const struct prog_spec spec = {.name = "tail",
                                   .section = "",
                                   .file = "",
                                   .license = "GPL",
                                   .attach_target = "",
                                   .type = prog_type_by_name(type),
                                   .insns = insns,
                                   .n_insns = GEN_TAIL_INSNS};
    struct prog *prog = NULL;
    int err;

    gen_tail(insns);
    err = prog_new(&spec, false, NULL, &prog);
    if (err)
        return err;
    err = code_lower(prog, NULL, w->maps, opts, engine, NULL, out);
    prog_put(prog);
    return err;
}

static bool set_tail(struct world *w, unsigned map, const char *type, const struct code_opts *opts,
                     const struct engine *engine)
{
    struct code *code = NULL;
    uint32_t zero = 0;
    int err = make_tail(w, type, opts, engine, &code);

    if (!err)
        err = map_set_thing(w->maps[map], &zero, code, 0);
    code_put(code);
    return !err;
}

bool world_set_tails(struct world *w, uint32_t named, const struct code_opts *opts, const struct engine *engine)
{
    return !(named >> GEN_TAILS & 1 && !set_tail(w, GEN_TAILS, "xdp", opts, engine)) &&
           !(named >> GEN_TAILS_SKB & 1 && !set_tail(w, GEN_TAILS_SKB, "sched_cls", opts, engine));
}

int world_make(struct world *w)
{
    int err = 0;

    for (unsigned i = 0; i < GEN_MAPS && !err; i++)
        err = map_create(&gen_maps[i], 1, NULL, &w->maps[i]);
    for (uint32_t i = 0; i < 2 && !err; i++) {
        err = map_create(&gen_inner, 1, NULL, &w->inner[i]);
        if (!err)
            err = map_set_thing(w->maps[GEN_OUTER], &i, w->inner[i], 0);
    }
    if (!err)
        w->maps[GEN_TAILS]->elem_ops = w->maps[GEN_TAILS_SKB]->elem_ops = &code_elem_ops;
    return err;
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < GEN_MAPS; i++) {
        if (w->maps[i])
            map_clear_things(w->maps[i]);
        map_put(w->maps[i]);
    }
    map_put(w->inner[0]);
    map_put(w->inner[1]);
}

static int fill(struct map *map, const void *values, uint32_t n, uint32_t size)
{
    int err = 0;

    for (uint32_t k = 0; k < n && !err; k++)
        err = map_host_update(map, &k, (const uint8_t *)values + k * size, MAP_ANY);
    return err;
}

static void read_out(struct map *map, void *values, uint32_t n, uint32_t size)
{
    for (uint32_t k = 0; k < n; k++)
        map_host_lookup(map, &k, (uint8_t *)values + k * size, 0);
}

bool world_reset(struct world *w, uint32_t named, const struct input *in)
{
    int err = 0;

    if (named >> GEN_ONE & 1)
        err |= fill(w->maps[GEN_ONE], in->one, 1, sizeof(in->one));
    if (named >> GEN_ARRAY & 1)
        err |= fill(w->maps[GEN_ARRAY], in->array, 4, sizeof(in->array[0]));
    if (named >> GEN_HASH & 1) {
        for (uint32_t k = 0; k < 8; k++)
            map_host_delete(w->maps[GEN_HASH], &k);
        err |= fill(w->maps[GEN_HASH], in->hash, 3, sizeof(in->hash[0]));
    }
    if (named >> GEN_PERCPU & 1)
        err |= fill(w->maps[GEN_PERCPU], in->percpu, 2, sizeof(in->percpu[0]));
    if (named >> GEN_LOCK & 1)
        err |= fill(w->maps[GEN_LOCK], in->lock, 2, sizeof(in->lock[0]));
    for (unsigned i = 0; named >> GEN_OUTER & 1 && i < 2; i++)
        err |= fill(w->inner[i], in->inner[i], 4, sizeof(in->inner[i][0]));
    return !err;
}

bool world_fresh_ring(struct world *w)
{
    map_put(w->maps[GEN_RING]);
    w->maps[GEN_RING] = NULL;
    return !map_create(&gen_maps[GEN_RING], 1, NULL, &w->maps[GEN_RING]);
}

void world_read(struct world *w, uint32_t named, struct result *out)
{
    if (named >> GEN_ONE & 1)
        read_out(w->maps[GEN_ONE], out->one, 1, sizeof(out->one));
    if (named >> GEN_ARRAY & 1)
        read_out(w->maps[GEN_ARRAY], out->array, 4, sizeof(out->array[0]));
    for (uint32_t k = 0; named >> GEN_HASH & 1 && k < 6; k++)
        out->hash_has[k] = !map_host_lookup(w->maps[GEN_HASH], &k, out->hash[k], 0);
    if (named >> GEN_LOCK & 1)
        read_out(w->maps[GEN_LOCK], out->lock, 2, sizeof(out->lock[0]));
    for (unsigned i = 0; named >> GEN_OUTER & 1 && i < 2; i++)
        read_out(w->inner[i], out->inner[i], 4, sizeof(out->inner[i][0]));
}
