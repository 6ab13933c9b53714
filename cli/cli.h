/*
 * The `skep` command. A `struct cli` is one invocation: how it prints, and what it has said so far. A subcommand
 * returns the exit status: 0 fine, 1 the program trapped or was refused, 2 usage or I/O.
 *
 * With -j the whole output is one object. main() opens it and writes "schema"; a subcommand adds members and leaves the
 * writer at the depth where it found it, also when it fails; main() adds "messages" and "error" and closes it. Without
 * -j results go to stdout, messages to stderr.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include <skep/skep.h>
#include <stdio.h>

enum { STATUS_OK, STATUS_REFUSED, STATUS_USAGE };

/* What the JSON looks like; raised when a field changes its meaning or goes. */
enum { CLI_SCHEMA = 1 };

struct cli {
    bool json;
    enum skep_log_level level;
    struct buf out;       /* JSON, written at the end */
    struct json_writer w; /* into out */
    struct buf messages;  /* JSON: "level\0text\0" of each message */
    struct buf error;     /* JSON: why it failed, the first reason */
    bool failed;          /* an error was told, of what is being worked on */
    uint64_t max_memory;  /* --max-memory; 0: as much as there is */
    bool misused;         /* an option for all commands was wrong, which was said */
};

struct command {
    const char *name;
    int (*run)(struct cli *c, int argc, char **argv);
    const char *usage; /* after "skep NAME " */
    const char *summary;
    const char *help; /* what follows the usage line */
};

extern const struct command cmd_show, cmd_dump, cmd_run, cmd_verify, cmd_asm, cmd_disasm, cmd_diff, cmd_attach,
    cmd_world;

/** Says why it failed. @return status */
int cli_fail(struct cli *c, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** The same, with a hint at the usage of a command (NULL: of none). @return STATUS_USAGE */
int cli_usage(struct cli *c, const struct command *cmd, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/** Says something that is no failure. */
void cli_warn(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** The status that fits an errno of the API: what cannot be read or written is I/O, the rest a refusal. */
int cli_status(int err);

/** A log that speaks through this invocation. */
struct log cli_log(struct cli *c);
void cli_on_log(void *cli, enum skep_log_level level, const char *text);

/* ---- Arguments ---- */

struct args {
    struct cli *c;
    const struct command *cmd;
    int argc;
    char **argv;
    int at;
};

/** The value of option `name` ("--set"), given as "--set VALUE" or "--set=VALUE". Steps over it. @return NULL: this
 *  argument is another one, or it has no value (which was said; *bad is then true). */
const char *args_option(struct args *a, const char *name, bool *bad);
/** The value of word `name` ("repeat"), given as "repeat VALUE". */
const char *args_word(struct args *a, const char *name, bool *bad);
/** A switch without a value ("--checked"). Steps over it. */
bool args_switch(struct args *a, const char *name);
/** -j, -p, -d and --max-memory, which may also stand after the subcommand. */
bool args_global(struct args *a);
/** A number in C's notation. @return false: it is none, or above max (which was said). */
bool args_number(struct args *a, const char *what, const char *text, uint64_t max, uint64_t *out);

/** The optimisations that a name stands for (SKEP_OPT_*; "all": all of them). @return false: there is none. */
bool opts_find(const char *name, uint32_t *bits);
#define OPTS_NAMES                                                                                                     \
    "fuse, facts, inline, special, promote, webs, simplify, rotate, address, wide, memory, select, divide, unroll, "   \
    "alloc, layout, all"

/* ---- Files ---- */

/** Reads a file, "-" for standard input, or "hex:00ff..." itself; at most max bytes. @return 0 or STATUS_USAGE, said.
 */
int file_read(struct cli *c, const char *path, size_t max, struct buf *out);
/** Writes a file, "-" for standard output. @return 0 or STATUS_USAGE, said. */
int file_write(struct cli *c, const char *path, const void *data, size_t size);
/** Writes a file through a temporary one beside it, so that a reader never sees half of it. */
int file_replace(struct cli *c, const char *path, const void *data, size_t size);

/* ---- Shared ways of showing ---- */

/** Bytes as "00ff", in JSON and in text. */
void hex_bytes(struct buf *out, const void *data, size_t size);
void json_bytes_at(struct json_writer *w, const char *name, const void *data, size_t size);
/** "00ff", spaces and a leading 0x allowed. @return false: it is no hex or does not give size bytes. */
bool parse_hex(const char *text, size_t len, struct buf *out);

/** How many values a per-CPU map has for a key, and how far they lie apart; 1 for other maps. */
uint32_t cli_slots(const struct skep_map *map, uint32_t *step);

/** Is a variable but the text of a bpf_printk()? Those are left out where people read. */
bool is_print_format(const char *name);

/** Opens an object for a subcommand. @return NULL with *status, said. */
struct skep_object *cli_open(struct cli *c, const char *path, const struct skep_object_open_opts *opts, int *status);
/** The program that is meant: by its name, or the only one. NULL: said, with a list, *status STATUS_USAGE. */
struct skep_program *cli_program(struct cli *c, const struct skep_object *obj, const char *name, int *status);

/** Only prog is loaded, where no table of programs makes others needed, too: it saves their preparation and failures.
 */
void cli_choose(struct skep_object *obj, struct skep_program *prog);
/** "VAR=VALUE" or "MAP.max_entries=N" of --set. @return 0 or STATUS_USAGE, said. */
int cli_set(struct cli *c, const struct command *cmd, struct skep_object *obj, const char *arg);

#endif
