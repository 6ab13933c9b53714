/*
 * `skep diff`, cut into: sides (diff_side.c: one engine or Linux, with an instance of its own), inputs (diff_input.c),
 * comparison of values field by field (diff_value.c), what is said of the sides (diff_show.c), and the command
 * (diff.c).
 */
#ifndef CLI_DIFF_H
#define CLI_DIFF_H

#include "api/object.h"
#include "cli/cli.h"
#include "cli/run.h"

struct diff_opts {
    const char *object, *prog, *data_in, *pcap_in, *ctx_in, *btf, *kconfig;
    uint64_t random, seed, packets, shown;
    const char **sets, **maps;
    uint32_t n_sets, n_maps;
    char *kconfig_text;
    const char *world_file;
    struct skep_world_file *world; /* NULL: none */
};

/* ---- Inputs ---- */

struct diff_input {
    void *data, *ctx; /* NULL: none */
    uint32_t size, ctx_size;
};

struct diff_inputs {
    struct diff_input *all;
    uint64_t n;
};

/** Reads and makes the inputs for a type of program: those of the files, the contexts that the world has for its
 * section (with the first of the files' packets), then --random ones derived from them. At least one. @return 0 or a
 * status, said. */
int diff_inputs_make(struct cli *c, const struct diff_opts *o, uint32_t type, const char *section,
                     struct diff_inputs *out);
void diff_inputs_free(struct diff_inputs *in);

/* ---- Sides ---- */

enum side_state {
    SIDE_RUNS,
    SIDE_REJECTS, /* its verifier says no */
    SIDE_CANNOT   /* it has no way to: said, and not compared */
};

enum { MAX_RETURNED = 8 };

struct side {
    const char *name; /* "interp", "jit", "linux" */
    struct skep_object *obj;
    struct skep_program *prog;
    enum side_state state;
    bool unjudged; /* it runs, though its verifier does not know enough to say whether it may */
    char why[600];
    struct skep_ring_buffer *rings;
    struct skep_perf_buffer **perf; /* by map */
    struct buf *events;             /* by map: each record as its length, 4 bytes, and its bytes */
    struct diff_event *sources;     /* by map */
    uint64_t ran, trapped, sent;    /* inputs; of them trapped; events of all of them */
    struct {
        uint32_t value;
        uint64_t n;
    } returned[MAX_RETURNED]; /* the first values that it returned, and how often */
    uint32_t n_returned;
};

struct diff_event {
    struct side *side;
    uint32_t map;
};

/* What one run gave. */
struct side_result {
    int err;
    uint32_t retval;
    bool trapped;
    struct buf data, ctx; /* as the run left them; empty: nothing was told */
    char trap[300];
};

/** Opens and loads an instance; what it cannot do becomes its state. engine NULL: Linux. @return 0 or a status, said.
 */
int side_open(struct cli *c, const struct diff_opts *o, const char *engine, const char *prog, struct side *out);
void side_run(struct side *s, const struct diff_input *in, struct side_result *out);
void side_close(struct side *s);
/** Says what its verifier thought, and what came of its runs. */
void side_show(struct cli *c, const struct side *s);
/** Names the helpers of a side's program that say something else in every run, where something differs. */
void show_varying(struct cli *c, const struct side *s, bool differs);

/* ---- Values ---- */

/** Finds where two JSON values differ, in depth: the path of each differing field with both values, at most max.
 *  @param on  called with ".a.b[2]", and both as text ("-": not there). @return how many. */
unsigned diff_json(const char *a, const char *b, unsigned max,
                   void (*on)(void *ctx, const char *path, const char *a, const char *b), void *ctx);
/** A place in a packet by name: "ip.ttl", "" for none. */
void diff_packet_field(const unsigned char *data, uint32_t size, uint32_t off, char *out, size_t room);

#endif
