/*
 * What sections of a world file share: strict reading with messages that name the place, and structures in the layout
 * of the target. A section is a row of sections.def and one function; rows are read in their order, whatever the order
 * in the text, and references ("&name") are settled after all of them, so that they may point anywhere.
 */
#ifndef VM_WORLD_READ_H
#define VM_WORLD_READ_H

#include "vm/world/world.h"

struct world_name;
struct world_fixup;
struct world_list;
struct world_task_mem;

struct world_reader {
    struct world *w;
    const struct log *log;
    const struct world_types *types;
    bool asked_types;
    uint64_t next; /* where the next structure goes */
    uint32_t cap_mems;
    struct world_name *names; /* what references find */
    uint32_t n_names, cap_names;
    struct world_fixup *fixups; /* references that are to be settled */
    uint32_t n_fixups, cap_fixups;
    struct world_list *lists;
    uint32_t n_lists, cap_lists;
    struct world_task_mem *task_mems;
    uint32_t n_task_mems, cap_task_mems;
};

typedef int (*world_read_fn)(struct world_reader *r, const struct json_path *at, const struct json *v, void *to);

/* A section of the file. */
#define WORLD_SECTION(name)                                                                                            \
    int world_read_##name(struct world_reader *r, const struct json_path *at, const struct json *v);
#include "vm/world/sections.def"

#define WORLD_REFUSE(r, at, v, ...) json_refuse((r)->log, at, v, __VA_ARGS__)

/* ---- Strict reading ---- */

/* A member of an object: who reads it, into what (to + off). */
struct world_member {
    const char *name;
    world_read_fn read;
    size_t off;
    bool required;
};

/** Reads an object member by member; others, twice the same, and what is missing are refused. At most 64 rows. */
int world_members(struct world_reader *r, const struct json_path *at, const struct json *v,
                  const struct world_member *rows, unsigned n, void *to);
/** Is it an object, an array? Says so otherwise. */
int world_is_object(struct world_reader *r, const struct json_path *at, const struct json *v);
int world_is_array(struct world_reader *r, const struct json_path *at, const struct json *v);

/* For rows, and by themselves. */
int world_take_u32(struct world_reader *r, const struct json_path *at, const struct json *v, void *to);  /* uint32_t */
int world_take_u64(struct world_reader *r, const struct json_path *at, const struct json *v, void *to);  /* uint64_t */
int world_take_i64(struct world_reader *r, const struct json_path *at, const struct json *v, void *to);  /* int64_t */
int world_take_bool(struct world_reader *r, const struct json_path *at, const struct json *v, void *to); /* bool */
int world_take_text(struct world_reader *r, const struct json_path *at, const struct json *v,
                    void *to); /* const char * */
int world_take_json(struct world_reader *r, const struct json_path *at, const struct json *v,
                    void *to); /* const struct json *: for later */

/** Bytes: hex text ("02:00:5e" or "02005e"), or an array of numbers. In the world's arena. */
int world_bytes(struct world_reader *r, const struct json_path *at, const struct json *v, unsigned char **data,
                size_t *size);

/* ---- Memory and structures ---- */

/** The target's types. @return NULL: there are none; said when v is given. */
const struct btf *world_btf(struct world_reader *r, const struct json_path *at, const struct json *v);

/** Takes zeroed memory of the world. *guest 0: the next free address of the kernel, which it becomes.
 *  @return 0 and *host; -ENOMEM, -EINVAL (no such address), said. */
int world_memory(struct world_reader *r, const struct json_path *at, const struct json *v, uint64_t *guest,
                 uint64_t size, enum env_mem_kind kind, unsigned access, const char *name, unsigned char **host);

/** The piece that was taken last is memory of this task's process, and of no other's. */
int world_memory_of(struct world_reader *r, const struct world_task *task);

/**
 * Makes a structure of what v says, in memory of its own. v may be an object (members; "type", "&" its name, "@" its
 * address), an array of values, a text (char), or a reference "&name" to one that stands elsewhere.
 * @param type  of the structure in the target; 0: v must say it.
 * @param name  what references call it; NULL: nothing but what "&" says.
 * @param addr  NULL, or where it stands, for references 0.
 */
int world_structure(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                    const char *name, uint64_t *addr);

/* A structure that is being made. */
struct world_object {
    uint32_t type;
    uint64_t addr, size;
    unsigned char *host;
    bool user; /* a process's: its pointers are numbers and references alone */
};

/** Takes memory for a structure. @return 0, or an error, said. */
int world_object(struct world_reader *r, const struct json_path *at, const struct json *v, uint32_t type,
                 const char *name, uint64_t addr, struct world_object *out);
/** Reads members into it; pass says which names are no members. */
int world_fill(struct world_reader *r, const struct json_path *at, const struct json *v, const struct world_object *o,
               bool (*pass)(void *ctx, const char *name));
/** Stores a number or an address in a part, where the target has that part; else nothing happens. */
void world_put_u64(struct world_reader *r, const struct world_object *o, const char *part, uint64_t value);
void world_put_text(struct world_reader *r, const struct world_object *o, const char *part, const char *text);

/** A name for references. @return 0, or an error, said. */
int world_name(struct world_reader *r, const struct json_path *at, const struct json *v, const char *name,
               uint64_t addr, uint32_t type);
/** Will store the address that `ref` ("&name", "&name.part") stands for at 8 bytes of the world. */
int world_refer(struct world_reader *r, const struct json_path *at, const struct json *v, const char *ref, void *to);
/** Of the references since that many: what was to be stored in n 8-byte slots at from goes to offsets of `to` instead.
 */
void world_move_refs(struct world_reader *r, uint32_t since, const unsigned char *from, unsigned n, unsigned char *to,
                     const uint32_t *offsets);
/** Will link nodes (an array of references) behind a list_head, or an hlist_head, that stands here. */
int world_link(struct world_reader *r, const struct json_path *at, const struct json *v, uint64_t addr,
               unsigned char *head, bool hlist);
/** A type by its name ("task_struct", "struct sock", "u64", "char[16]"): *count elements of *id, count 1 for no array.
 *  @return 0, or an error, said. */
int world_type(struct world_reader *r, const struct json_path *at, const struct json *v, const char *text, uint32_t *id,
               uint32_t *count);

/* ---- What sections share of each other ---- */

enum { WORLD_REGS_SIZE = 168 /* struct pt_regs of x86_64 */ };
/** Registers by name into a struct pt_regs. */
int world_take_regs(struct world_reader *r, const struct json_path *at, const struct json *v, unsigned char *to);
/** A context more, for programs of this section (which must outlast the world), in the place of those that the file has
 *  for it; after the sections. */
int world_read_context(struct world_reader *r, const char *section, const struct json *v);
/** A text for a struct path: its chain of dentries. */
int world_path(struct world_reader *r, const struct json_path *at, const struct json *v,
               const struct world_object *path);
/* Members of a task: namespaces, regs, vmas; v is the task's object. */
int world_task_namespaces(struct world_reader *r, const struct json_path *at, const struct json *v,
                          struct world_task *t);
int world_task_regs(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t);
int world_task_areas(struct world_reader *r, const struct json_path *at, const struct json *v, struct world_task *t,
                     const struct world_object *task);
/** What its namespaces make of its task_struct. */
int world_put_namespaces(struct world_reader *r, const struct json_path *at, const struct json *v,
                         const struct world_task *t, const struct world_object *task);

/** Settles references and lists, sorts memory, refuses overlaps. The last step. */
int world_settle(struct world_reader *r);
void world_reader_free(struct world_reader *r);

#endif
