/*
 * What the files of the loader share: the object while it is being read, and what linking needs of it afterwards. All
 * of it lives in the object's arena, except the BTF, which programs may keep longer than the object.
 *
 * Reading goes: elf_read, BTF, load_funcs, load_externs, load_maps, load_data, load_struct_ops, load_relocs,
 * load_kconfig. Each step
 * adds to the object and looks only at what earlier steps made.
 */
#ifndef LOADER_LOAD_H
#define LOADER_LOAD_H

#include "loader/btf_ext.h"
#include "loader/elf.h"
#include "loader/object.h"

/* What one file may make us take: data sections together, instructions of all linked programs together, and the count
 * of what has no size of its own in the file. */
enum {
    LOAD_MAX_FILE = 256 << 20,
    LOAD_MAX_DATA = 256 << 20,
    LOAD_MAX_INSNS = 4 << 20,
    LOAD_MAX_MAPS = 64 << 10,
    LOAD_MAX_MAP_REFS = 1 << 20,
    LOAD_MAX_EXTERN_DATA = 1 << 20,
};
#define LOAD_ARENA_SECTION ".addr_space.1"
enum { LOAD_NO_VALUES = UINT32_MAX /* a map whose definition has no initialisers */ };

/* Types, with their bytes where they came with the object; shared by the object and its programs. */
struct load_btf {
    uint32_t refs; /* atomic */
    struct btf *btf;
    struct field_table *fields; /* special fields of its types; NULL: the target's */
    bool borrowed;              /* the caller's, who keeps them as long as the programs */
    size_t size;
    _Alignas(8) unsigned char bytes[];
};

struct load_btf *load_btf_get(struct load_btf *btf);
/** As prog_spec.put_btf. */
void load_btf_put(void *btf);

/* A function, entry or subprogram; sorted by section and start, and none overlaps another unless they are the same. */
struct load_func {
    const char *name;
    uint32_t sec;      /* ELF section */
    uint32_t start, n; /* slots in it */
    bool global;       /* visible outside: Linux verifies it by itself */
    bool used;         /* reached from a program that is to be loaded */
    int32_t prog;      /* index of its program, -1: a subprogram */
};

enum load_reloc_kind {
    RELOC_MAP,         /* index: map */
    RELOC_DATA,        /* index: map, off: into its value */
    RELOC_CALL,        /* index: function */
    RELOC_FUNC,        /* index: function, whose address is taken */
    RELOC_EXTERN_CALL, /* index: extern */
    RELOC_EXTERN_ADDR, /* index: extern */
    RELOC_ARENA,       /* a variable in an arena: index: map, off */
};

struct load_reloc {
    uint32_t insn; /* slot in the section */
    enum load_reloc_kind kind;
    uint32_t index, off;
    const char *symbol;
};

/* Code of one ELF section. */
struct load_code {
    struct skep_insn
        *insns; /* while linking: a copy that CO-RE relocations change; NULL otherwise, or when none is used */
    struct load_reloc *relocs; /* by slot, one a slot at most */
    uint32_t n_relocs;
    const struct btf_ext_section *ext; /* what .BTF.ext says about it; NULL: nothing */
    uint32_t first_shown;              /* object->relocs of the first of them */
    struct prog_poison *poison; /* while linking, by slot: why it cannot run, reason NULL: it can; NULL: all can */
};

enum load_extern_kind { EXTERN_KCONFIG, EXTERN_KSYM_VAR, EXTERN_KSYM_FUNC };

enum load_kconfig_type { KCONFIG_UNKNOWN, KCONFIG_CHAR, KCONFIG_BOOL, KCONFIG_INT, KCONFIG_TRISTATE, KCONFIG_STRING };

struct load_extern {
    const char *name; /* for kernel symbols without a "___flavor" */
    enum load_extern_kind kind;
    uint32_t sym;    /* ELF symbol */
    uint32_t btf_id; /* its VAR or FUNC */
    bool weak;
    bool found, wanted, here; /* here: /proc/kallsyms has it */
    enum load_kconfig_type type;
    bool is_signed;
    uint32_t size, align, off; /* .kconfig: in the section's map */
    uint64_t addr;             /* kernel variables, once linked */
    uint32_t kernel_id;        /* its VAR in the target's types, when it is declared with a type; 0: none */
    const struct kfunc *kfunc; /* KSYM_FUNC, once linked: what stands in the table and in the target; NULL: nothing */
};

struct object_elf {
    struct elf elf;
    struct load_btf *btf;
    struct load_btf *kernel; /* the target's types, once something asked for them; NULL: not asked, or not there */
    bool no_kernel;          /* asked for, and not there */
    const struct btf_ext *ext;
    uint32_t text;     /* section .text, 0: none */
    int32_t arena_map; /* index of the object's map of type ARENA, -1: there is none */
    uint32_t maps_sec; /* section .maps, or maps; 0: none */
    struct load_func *funcs;
    uint32_t n_funcs;
    struct load_code *code; /* by ELF section */
    struct load_extern *externs;
    uint32_t n_externs;
    struct load_extern **kconfig_order; /* obj->n_kconfig of them, as they lie in the map */
    uint32_t kconfig_size;
    int32_t kconfig_map; /* -1: none */
    uint32_t *maps_off;  /* of maps in .maps: offset of its variable, by map; n_btf_maps of them */
    uint32_t *maps_size;
    uint32_t *values_off; /* of its `values` member, bytes; LOAD_NO_VALUES: none */
    uint32_t n_btf_maps;
    int32_t *data_map;     /* by ELF section: the map of a data section, -1: none */
    struct load_var *vars; /* by section and name */
    uint32_t n_vars;
    uint32_t max_maps;   /* room in object->maps */
    size_t data_bytes;   /* taken for data sections so far */
    uint32_t core_first; /* object->relocs from here on are CO-RE, in the order of ext */
    bool linked;
};

/* progs.c: functions and programs from symbols. */
int load_funcs(struct object *obj, const struct log *log);
/** The function that starts at this slot, or NULL. */
struct load_func *load_func_at(const struct object_elf *e, uint32_t sec, uint32_t slot);
/** The function that holds this slot, or NULL. */
struct load_func *load_func_with(const struct object_elf *e, uint32_t sec, uint32_t slot);

/* extern.c: what the object wants from outside. */
int load_externs(struct object *obj, const struct log *log);
/** The extern of an ELF symbol; -1: none. */
int32_t load_extern_of(const struct object_elf *e, uint32_t sym);
/** Finds the addresses of kernel variables that used functions refer to. */
/** The target's types, as object_link_opts says, read on first use. @return 0 and *out; *out NULL: there are none. */
int load_kernel_types(struct object *obj, const struct object_link_opts *opts, const struct log *log,
                      const struct btf **out);
/** Do programs that are to be loaded need them for more than CO-RE? While linking. */
bool load_wants_kernel_types(const struct object *obj);
/** Which kernel functions the program calls is known here and in the target; link order is: types, these. */
void load_resolve_kfuncs(struct object *obj, const struct btf *kernel);
int load_resolve_ksyms(struct object *obj, const struct btf *kernel, const struct object_link_opts *opts,
                       const struct log *log);

/** Of which struct of operations, by the name that the target has it by, the program is which method: "ops.method"; "":
 *  of none. NULL: no memory. */
const char *load_method_of(const struct object *obj, const struct object_prog *p, struct arena *tmp);

/** Tells object->relocs what became of the externs. */
void load_show_externs(struct object *obj);

/* kconfig.c: values of .kconfig externs, into the map's data. */
int load_kconfig(struct object *obj, const char *extra, const struct log *log);
/** The running kernel's configuration, for zlib to read, and where it stands; NULL: it tells none. */
enum { KCONFIG_PATH = 512 };
struct gzFile_s *load_kconfig_open(char path[KCONFIG_PATH]);
/** Refuses strong externs without a value. */
int load_check_kconfig(const struct object *obj, const struct log *log);

/* exception.c: the function that an entry names as its exception callback, LOAD_NO_FUNC: it names none.
 * @return 0; -EINVAL, said: it names what is not there. */
enum { LOAD_NO_FUNC = UINT32_MAX };
int load_catcher(const struct object *obj, uint32_t entry, const struct log *log, uint32_t *func);

/* maps.c: .maps, and the initialisers of its maps. */
int load_maps(struct object *obj, const struct log *log);
int load_map_inits(struct object *obj, const struct log *log);
/* maps_legacy.c: section `maps`, 0: there is none; how many maps it defines. */
uint32_t load_legacy_section(const struct object_elf *e);
uint32_t load_legacy_count(const struct object_elf *e);
int load_legacy_maps(struct object *obj, const struct log *log);
/** The map of .maps whose variable holds this offset; -1: none. */
int32_t load_map_at(const struct object_elf *e, uint64_t off);

/* struct_ops.c: structs of function pointers that Linux calls. After load_fix_datasecs(), which tells where they lie.
 */
int load_struct_ops(struct object *obj, const struct log *log);

/* A variable of a data section, as symbols and BTF agree on it. */
struct load_var {
    uint32_t sec;
    const char *name;
    const struct elf_symbol *sym;
    uint32_t btf_id; /* its VAR; 0: none */
    bool twin;       /* another symbol of the section has the same name */
};

/* data.c: data sections as maps, DATASECs made true, the table of variables. */
int load_fix_datasecs(struct object *obj, const struct log *log);
int load_data(struct object *obj, const struct log *log);
int load_vars(struct object *obj, const struct log *log);
/** Adds a map to the object, zeroed. @return NULL when there are too many. */
struct object_map *load_add_map(struct object *obj);
/** Notes in def the special fields of its value, or section of data, of this type. Those that Linux would not take
 * count as plain memory, with a warning. */
void load_value_fields(const struct object *obj, struct map_def *def, uint32_t type_id, const struct log *log);

/* reloc.c: relocations of code, checked and understood. */
int load_relocs(struct object *obj, const struct log *log);
/** Index of the first relocation at or after this slot. */
uint32_t load_first_reloc(const struct load_code *code, uint32_t slot);
/** The relocation at exactly this slot, or NULL. */
const struct load_reloc *load_reloc_at(const struct load_code *code, uint32_t slot);

/* core.c: CO-RE relocations of used functions, applied to object_elf.code[].insns. */
int load_core(struct object *obj, struct arena *tmp, const struct object_link_opts *opts, const struct log *log);
/** Marks a slot as one that cannot run; the table lives in tmp. */
int load_poison(struct object_elf *e, struct arena *tmp, uint32_t sec, uint32_t slot, enum trap_kind kind,
                const char *reason);

/** How messages name a slot: "section 'xdp', instruction 12". */
#define SLOT_FMT "section '%s', instruction %u"

#endif
