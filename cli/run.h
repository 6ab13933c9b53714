/*
 * `skep run`, cut into: options (run_opts.c), one run or many and their report (run.c), packets of a capture (pcap.c)
 * and recorded contexts (records.c), which are walks (walk.c), map contents in and out (maps.c, pin.c), events
 * (events.c), traps (trap.c), raw programs (raw.c).
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "api/object.h"
#include "cli/cli.h"

enum { CLI_MAX_WORLD = 128 << 20 /* bytes of a world file */ };

/* What was asked for. Strings are argv's. */
struct run_opts {
    const char *object, *prog, *type;
    const char *data_in, *data_out, *ctx_in, *ctx_out, *pcap_in, *pcap_out, *mem, *btf, *pin_dir, *kconfig, *maps_from,
        *maps_to, *world_file, *task, *iter_map;
    const char *ctx; /* --ctx: JSON by names */
    bool raw, cbpf, seccomp, kernel, calls, verify_raw, dump_maps, time_pcap, has_cpu, has_max;
    uint64_t repeat, cpus, cpu, max_insns, pass_time, ifindex, packets, ctx_size;
    struct skep_world world;
    struct skep_exec_opts exec;
    struct skep_vm_opts vm;
    const char **sets, **maps, **events; /* "VAR=VALUE", "NAME=FILE", "[MAP=]TYPE" */
    uint32_t n_sets, n_maps, n_events;
};

/** Reads the arguments. @return 0 or STATUS_USAGE, said. The lists are to be freed in any case. */
int run_parse(struct cli *c, struct run_opts *o, int argc, char **argv);
void run_opts_free(struct run_opts *o);

/* What runs. */
struct run {
    struct cli *c;
    const struct run_opts *o;
    struct skep_object *obj; /* NULL: a raw program */
    struct skep_program *prog;
    struct buf calls; /* JSON: those of --calls, with commas */
    struct buf trace; /* JSON: lines, each with its NUL */
    struct events *events;
    struct buf ctx_in;
    struct skep_world_file *ctx_world;      /* with the context of --ctx; NULL: none */
    struct arena arena;                     /* what --ctx says */
    const char *sysctl_name, *sysctl_value; /* in it; NULL: not said */
    struct buf effects;                     /* JSON: the array of what was sent */
    struct json_writer effects_w;
    uint64_t n_effects;
    uint64_t time; /* of a fixed clock, which goes on from run to run */
    bool link;     /* packets are seen from their link-level header on */
    uint64_t runs; /* so far: seeds differ from one to the next */
};

enum { CLI_MAX_DATA = 64 << 20, CLI_OUT_ROOM = 256 << 10, CLI_MAX_TEXT = 17 << 20 /* of an iterator */ };

/** Runs once (opts.repeat times), with the world that the options ask for; then shows the events that came.
 *  @param time  of the clock, ns; UINT64_MAX: as the options say.
 *  @return 0, or the API's error. */
int run_once(struct run *r, struct skep_run_opts *opts, uint64_t time);

/** Fills in the context of a run: ctx_in, or the one that --ifindex asks for. @return 0 or a status, said. */
int run_context(struct run *r, struct skep_run_opts *opts);

/** What the user pressed Ctrl-C for: points to a flag that ends the run. */
volatile uint32_t *run_stop_flag(void);

/* ---- Packets of a file ---- */

/** Runs the program over the packets of o->pcap_in. @return the status, said. Writes into the open JSON object. */
int pcap_run(struct run *r);

/* ---- Recorded contexts ---- */

/** Runs the program over the contexts of o->ctx_in, o->ctx_size bytes each. @return the status, said. */
int records_run(struct run *r);

/** Runs the program over the n contexts that its world has for it. @return the status, said. */
int contexts_run(struct run *r, uint32_t n);

/* ---- Maps ---- */

/** Fills a map from "NAME=FILE". */
int maps_fill(struct cli *c, struct skep_object *obj, const char *arg);
/** Prints all maps of an object, as the "maps" of the JSON or as text. */
void maps_dump(struct cli *c, const struct skep_object *obj);
/** Prints one map as text. */
void maps_print(const struct skep_map *map, struct buf *out);
/** Fills one map from JSON that stands in text. name: of the file, for messages. */
int maps_read(struct cli *c, struct skep_object *obj, struct skep_map *map, const char *name, const char *text,
              size_t len);

/* ---- Map contents that travel (--maps-from, --maps-to) ---- */

/** Fills maps from a file, pinned maps, or a program at work in Linux. NULL: nothing to do. @return 0 or a status,
 * said. */
int state_load(struct cli *c, struct skep_object *obj, const char *from);
/** Carries maps there. */
int state_save(struct cli *c, struct skep_object *obj, const char *to);
/* Elements of keys and values that are bytes: what can travel and be compared. */
bool state_is_table(const struct skep_map *map);

/* ---- Pinned maps as files of a directory ---- */

int pins_load(struct cli *c, struct skep_object *obj, const char *dir);
int pins_save(struct cli *c, const struct skep_object *obj, const char *dir);

/* ---- Events ---- */

/** Opens a reader for every ring and perf buffer of the object. NULL: said. */
struct events *events_open(struct run *r);
/** Shows what came. In JSON, "events" must be the open array. */
void events_show(struct events *e);
/** The i-th descriptor that is readable when something came; -1: there are no more. */
int events_fd(const struct events *e, int i);
void events_close(struct events *e);

/* ---- Traps ---- */

/** Tells of a trap: to stderr, or as members of the open JSON object. where: "packet 12" or NULL. */
void trap_show(struct run *r, const struct skep_trap *trap, const char *where);

/* ---- Raw programs ---- */

int raw_run(struct cli *c, const struct run_opts *o);

/* ---- Contexts by names ---- */

/** Makes ctx_in of what --ctx says. @return 0 or a status, said. */
int ctx_read(struct run *r);
/** JSON: "ctx", the fields of a context that came out. */
void ctx_show(struct run *r, const void *ctx, uint32_t size);
/** Hears what a run sends (skep_world.effect). */
void effects_add(void *run, const struct skep_effect *effect);
/** JSON: "sent". */
void effects_show(struct run *r);

/* ---- Classic BPF ---- */

int cbpf_run(struct cli *c, const struct run_opts *o);
/* ---- Calls ---- */

/** As skep_run_opts.on_call: tells of a call. */
void calls_on(void *run, const struct skep_call *call);
/** In JSON: what was kept of them, as a member of the open object. */
void calls_show(struct run *r);

/* ---- Worlds ---- */

/** Opens what --world names and chooses the task of --task: o->vm.world, o->world.task. @return 0 or a status, said. */
int world_open(struct cli *c, struct run_opts *o);

#endif
