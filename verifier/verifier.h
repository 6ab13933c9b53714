/*
 * What the rooms of the verifier share: one verification in progress, and the interface of each room. Judging functions
 * take const states and return a reason, with words in v->why; changing functions follow success. Only explore.c holds
 * the worklist.
 */
#ifndef VERIFIER_VERIFIER_H
#define VERIFIER_VERIFIER_H

#include "verifier/state.h"
#include "verifier/verify.h"

enum { TAIL_CALL = 12 /* the helper that does not come back */, MAX_HOOK_ARGS = 12, MAX_HOOK_ERRNO = 4095 };

/* Which registers and stack slots of each frame a later instruction needs exactly. */
struct marks {
    uint16_t regs[PROG_MAX_FRAMES];
    uint64_t slots[PROG_MAX_FRAMES];
};

/* A saved state: what was explored from an instruction. Its precision marks stand beside the state, not in it. */
struct checkpoint {
    struct checkpoint *next; /* in its list */
    uint32_t insn, callsite; /* where: the state's, and its top frame's */
    struct state *state;     /* its past is the segment that led here from its parent; parent is the one before */
    struct marks precise;
    uint32_t branches; /* paths below that are not finished */
    uint32_t hits, misses;
    bool retired; /* no longer in its list, kept while children name it */
    bool held;    /* finished, and kept as long as its loop has backedges (loop.c) */
    struct checkpoint *held_next;
};

/* What is known of an instruction before and during exploration. */
struct insn_info {
    bool prune_point; /* states are compared here */
    bool force;       /* and always saved */
    bool seen;
    bool opaque;     /* a call of a global function, which is not entered */
    bool calls_back; /* goes on in a callback, too, which comes back here */
    bool iterates;   /* moves an iterator */
    uint32_t scc;    /* the loop that it is in, 0: none (scc.c) */
    uint8_t mem;     /* enum fact_mem, as seen so far */
    bool mem_seen;
    bool arena;       /* as in struct fact */
    bool not_arena;   /* arithmetic that was on no pointer into the arena */
    uint8_t ptr_kind; /* enum reg_kind of the base, for kinds that may not mix */
    uint8_t ptr_trust;
    uint16_t ctx_off;
    uint8_t move;        /* speculation.c: how it moves pointers, 0: not seen yet */
    uint32_t move_limit; /* and how far */
    uint32_t steps;      /* how often it was processed */
    uint16_t live_regs;  /* before it */
    uint64_t live_slots; /* of its own frame, before it */
};

struct verifier {
    const struct prog *prog;
    const struct verify_opts *opts;
    const struct log *log;
    struct pool pool;
    struct arena arena;
    struct insn_info *info; /* one a slot */
    struct uses *uses;      /* NULL: not used for this program */
    struct checkpoint **at; /* one list a slot */
    struct visit **loops;   /* one list a loop (loop.c) */
    uint32_t n_loops, n_backedges;
    uint64_t marks_made; /* precision marks in saved states so far */
    uint32_t next_id;
    struct {
        const struct btf_type *proto;  /* of what the program is attached to; NULL: it has no typed arguments */
        bool skip;                     /* the first parameter is none of the program's */
        char ops[64], method[64];      /* STRUCT_OPS: which one the program is */
        const struct btf_type *stub;   /* of a method: what its parameters' names say more; NULL: nothing */
        uint32_t owned[MAX_HOOK_ARGS]; /* references that the arguments come with */
    } hook;
    const struct map_def *arena_map; /* that the program names; NULL: none */
    uint32_t ctx_size;               /* bytes of the context that were touched */
    const struct state *now;         /* whose instruction is being executed */
    bool *func_async;                /* functions that were put off: timers' and the like */
    bool in_step;                    /* the last record of the path's history is the instruction being executed */
    bool privileged;                 /* may see pointers, read uninitialized stack, ... */
    uint16_t *func_depth;            /* bytes of stack that each function was seen to use */
    bool *func_tail_calls;
    uint64_t *func_escaped;   /* facts.escaped */
    uint32_t *func_effects;   /* enum helper_effect, of each function and all that it may call */
    bool has_dynptrs;         /* some state has one */
    bool has_iters;           /* the same of iterators */
    bool *called, *func_done; /* global functions: by what was explored; and verified */
    struct global_proto *protos;
    bool reads_unwritten_stack; /* the facts of these names */
    bool wants_checks;
    /* The failing instruction in words, written by whoever judges. */
    char why[320];
    const char *missing; /* for REASON_unsupported */
    char missing_name[64];
    struct verify_result *out;
    struct state *work; /* paths to explore, last in first out */
    uint32_t n_work;
    uint64_t insns_since_save, jumps_since_save;
    uint32_t states;     /* checkpoints that stand */
    struct trace *trace; /* NULL: no log is kept */
};

/* Notes in words why something is refused. @return reason. */
enum reason refuse(struct verifier *v, enum reason reason, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
enum reason unsupported(struct verifier *v, const char *what);

/* "r3" or "the stack at r10-16", for messages. */
const char *reg_kind_name(const struct reg *r);

/* cfg.c: shape of the control flow, prune points, unreachable code. liveness.c: what is read later. */
enum reason cfg_check(struct verifier *v, uint32_t *insn);
bool liveness_compute(struct verifier *v);
/* What may run after an instruction, within its function; a call is followed by what comes after it. */
unsigned liveness_next(const struct insn *insn, uint32_t at, uint32_t out[2]);

/* scc.c: numbers the loops, in info->scc; v->n_loops is how many there are. */
bool scc_compute(struct verifier *v);

/* loop.c: paths that stop inside loops which are not finished. */
bool loop_init(struct verifier *v);
void loop_free(struct verifier *v);
/** The checkpoint was just saved. @return false: out of memory. */
bool loop_enter(struct verifier *v, struct checkpoint *c);
/** Is this saved state in a loop whose marks are not final? Then numbers count whether they are marked or not. */
bool loop_is_open(const struct verifier *v, const struct state *s);
/** The path s stops at this checkpoint, in a loop that is not finished: `to` itself, or that with backedges.
 *  @return false: out of memory. */
bool loop_rest(struct verifier *v, struct checkpoint *to, const struct state *s);
/** Must this checkpoint, which is finished, be kept for the sake of its loop? Then loop_leave() gives it back. */
bool loop_holds(struct verifier *v, struct checkpoint *c);
/** The checkpoint is finished. If a loop began with it, all marks of the loop become final.
 *  @return the checkpoints that were held meanwhile, linked by held_next. */
struct checkpoint *loop_leave(struct verifier *v, struct checkpoint *c);
/** Makes numbers unknown that differ from those of the last round and did not matter so far, so that a loop which is
 *  known to end comes to rest. `from`: the state whose place and path say which the last round was.
 *  @return false: out of memory. */
bool loop_widen(struct verifier *v, struct state *s, const struct state *from);

/* uses.c: which stack slots are read later, as exploration finds it. */
bool uses_init(struct verifier *v);
void uses_free(struct verifier *v);
/* The instance of the top frame's function, which was just entered. @return false: out of memory. */
bool uses_enter(struct verifier *v, const struct state *s, uint32_t *inst);
/* Around each step; between them, what it touches, as offsets from r10 of the frame: read at all, overwritten surely.
 */
void uses_begin(struct verifier *v);
void uses_read(struct verifier *v, unsigned frame, int64_t off, int64_t end);
void uses_write(struct verifier *v, unsigned frame, int64_t off, int64_t end);
void uses_end(struct verifier *v, uint32_t inst, uint32_t at);
/* Brings what uses_live() says up to date. */
void uses_settle(struct verifier *v);
/* Slots of a frame that may be read from this instruction of an instance on; all where it is not known. */
uint64_t uses_live(const struct verifier *v, uint32_t inst, unsigned frame, uint32_t at);

/* An access of memory by an instruction or a helper. */
struct access {
    uint32_t insn;
    unsigned reg;  /* base register, for messages */
    int64_t off;   /* displacement */
    uint32_t size; /* bytes, the most that may be touched */
    bool write;
    bool atomic; /* or ordered: aligned, and not everywhere */
    bool helper; /* by a helper: uninitialized stack is an output */
    bool sign;   /* a load that extends the sign */
    bool zero_size_ok;
    bool fills; /* a helper that writes all of it */
};

/* mem.c: everything but the stack is judged here; the stack in stack.c. */
enum reason mem_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
/* What a load of `size` bytes from checked memory yields. */
struct reg mem_value(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a,
                     bool sign);

/* kfunc.c */
/* The kernel function that this instruction calls; NULL: it calls none that is known. */
const struct kfunc *kfunc_at(const struct verifier *v, uint32_t at);
/* The registers that this call of a kernel function reads, a bit each. */
uint16_t kfunc_uses(const struct verifier *v, uint32_t at);
/* What it does to those who call it, as enum helper_effect has it, and whether it throws. NULL: nothing. */
enum { EFFECT_THROWS = 1 << 16 };
uint32_t kfunc_effects(const struct kfunc *k);
/* *done: the path ends with this call (bpf_throw). */
enum reason kfunc_call(struct verifier *v, struct state *s, const struct insn *insn, struct state **other, bool *done);
/* May an exception be thrown here? A helper that called back stands in its way. */
enum reason kfunc_may_throw(struct verifier *v, const struct state *s);
/* Is something held that would be lost where the program ends? `gives`: one reference is what the program returns;
 * `what` begins the message. */
enum reason call_resources_held(struct verifier *v, const struct state *s, bool gives, const char *what);
/* Calls that may not come back, exits and sleeping helpers, inside a section that is protected by RCU, may not be
 * preempted, or not be interrupted. */
enum reason kfunc_sections_end(struct verifier *v, const struct state *s, const char *what);

/* btf_ptr.c: pointers to kernel objects. */
enum reason btf_ptr_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
struct reg btf_ptr_value(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
/* Fields of a struct bpf_map, as the target has it: through a map pointer. */
enum reason btf_ptr_check_map(struct verifier *v, const struct reg *base, const struct access *a);
struct reg btf_ptr_map_value(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
/* A variable of the kernel. */
enum reason btf_ptr_variable(struct verifier *v, const struct prog_ksym *sym, struct reg *out);
/* What stands at the address of a variable for one CPU: memory, or an object of its type. */
struct reg btf_ptr_of_cpu(const struct reg *variable);
/* Valid for as long as the program has it? */
bool btf_ptr_trusted(const struct reg *r);
/* Is what r points to an object of this type of the kernel, or does it begin with one? `strict`: itself. */
bool btf_ptr_is(struct verifier *v, const struct reg *r, const char *type, bool strict);
/* An argument of a helper that is to be the kernel object that its row names. */
enum reason btf_ptr_takes(struct verifier *v, const char *type, const char *callee, unsigned reg, const struct reg *r,
                          bool or_null);
enum reason btf_ptr_argument(struct verifier *v, const struct helper *h, unsigned reg, const struct reg *r,
                             bool or_null);
/* A pointer to such an object, untrusted when the target has no such type. */
struct reg btf_ptr_reg(struct verifier *v, const char *type, unsigned trust);
/* The type of a struct or union of the target, 0: there is none. */
uint32_t btf_kernel_type(const struct verifier *v, const char *name);
bool in_rcu_section(const struct verifier *v, const struct state *s);
/* May what runs now sleep? */
bool sleeps_here(const struct verifier *v, const struct state *s);

/* btf_ctx.c: arguments by prototype. begin: before anything is explored. */
enum reason btf_ctx_begin(struct verifier *v);
enum reason btf_ctx_check(struct verifier *v, const struct state *s, uint32_t off, uint32_t size);
struct reg btf_ctx_value(struct verifier *v, uint32_t off, uint32_t size);
/* What Linux lets programs of this very hook return; false: what their type may. */
bool btf_ctx_returns(const struct verifier *v, struct prog_range *range);
/* Nothing at all: r0 need not be written. */
bool btf_ctx_returns_void(const struct verifier *v);

/* struct_ops.c: methods. begin: finds the prototype. arg: does the name of an argument (from 0) end so? */
enum reason struct_ops_begin(struct verifier *v);
bool struct_ops_arg(const struct verifier *v, unsigned index, const char *suffix);
/* References that come with arguments are the first state's. @return false: out of memory. */
bool struct_ops_hold(struct verifier *v, struct state *s);
/* A store through a pointer to a kernel object, whatever the type of the program. */
enum reason struct_ops_store(struct verifier *v, const struct reg *base, int64_t off, uint32_t size);
/* May the program end with this in r0, which holds a reference that goes to its caller? */
bool struct_ops_gives(const struct verifier *v, const struct reg *r0);

/* ext.c: is the program, which is seen as one of its target's type, fit to take its function's place? */
enum reason ext_begin(struct verifier *v);

/* sock.c: sockets and flow keys. */
enum reason sock_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
enum reason flow_keys_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
struct reg sock_reg(struct verifier *v, enum reg_kind kind, bool maybe_null);
/* An argument that is to be a socket, of a helper's row. */
enum reason sock_argument(struct verifier *v, struct state *s, enum arg_kind kind, unsigned reg);

/* stack.c: offsets are from r10 of the frame. */
enum reason stack_check(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
bool stack_write_reg(struct verifier *v, struct state *s, const struct reg *base, const struct access *a,
                     const struct reg *value);
bool stack_write_unknown(struct verifier *v, struct state *s, const struct reg *base, const struct access *a);
struct reg stack_read(struct verifier *v, struct state *s, const struct reg *base, const struct access *a, bool sign);
/* Notes for the facts: these bytes may be touched otherwise than through their own frame's r10; every byte of the frame
 * that r points into may. */
void stack_escapes(struct verifier *v, const struct state *s, const struct reg *base, const struct access *a);
void stack_escapes_whole(struct verifier *v, const struct state *s, const struct reg *r);
/* The stack record of a step that accesses a fixed slot, 0 for others. */
uint16_t stack_step(const struct reg *base, const struct access *a);

/* alu.c */
enum reason alu_step(struct verifier *v, struct state *s, const struct insn *insn);

/* speculation.c: a pointer about to be moved by a number. */
struct move {
    const struct reg *from, *to;
    const struct scalar *by;
    unsigned reg;
    bool minus, by_register, pointer_is_dst;
};
enum reason speculation_move(struct verifier *v, uint32_t insn, const struct move *m);
/** The same instruction on numbers: adding or subtracting a register. */
enum reason speculation_numbers(struct verifier *v, uint32_t insn, unsigned reg);

/* branch.c: *taken says which arms are alive (bit 0: not taken, bit 1: taken); s becomes the not-taken arm, and *other,
 * a new state, the taken one when both are alive; when one is, s becomes it. */
enum reason branch_step(struct verifier *v, struct state *s, const struct insn *insn, struct state **other,
                        bool *taken);
/* Everything known about NULL-ness of pointers with this id: it is NULL, or it is not. */
bool branch_settle_null(struct verifier *v, struct state *s, uint32_t id, bool is_null);

/* policy.c: what the tables of vm/abi allow this program. */
enum reason policy_may_call(struct verifier *v, uint32_t id);
enum reason policy_may_take(struct verifier *v, const struct helper *h, const struct map_def *map);
/* What a program named so far, of which it may name one. */
struct policy_maps {
    const struct map_def *storage, *percpu_storage, *arena;
};
enum reason policy_may_name(struct verifier *v, const struct map_def *map, struct policy_maps *named);
enum reason policy_functions(struct verifier *v, uint32_t *bad);
bool policy_may_write_packet(const struct verifier *v);
bool policy_helper_sees_packet(const struct verifier *v, const struct helper *h);
/* May the program return what this register holds? */
enum reason policy_return(struct verifier *v, struct state *s, unsigned reg);

/* policy.c */
bool is_gpl_compatible(const char *license);

/* call.c */
enum reason call_helper(struct verifier *v, struct state *s, const struct insn *insn, struct state **other);
/* Gives a reference back: whatever holds it is void afterwards. @return false: out of memory. */
bool call_release(struct verifier *v, struct state *s, uint32_t ref);
enum reason call_local(struct verifier *v, struct state *s, const struct insn *insn);
enum reason exit_step(struct verifier *v, struct state *s, bool *done);
/* The instruction just done may also end a local function, with such an r0: tail calls that succeed, packet loads that
 * fail. *other becomes that path; NULL in the entry function, where the program ends. */
enum reason tail_call_taken(struct verifier *v, const struct state *s, struct state **other);
enum reason leave_early(struct verifier *v, const struct state *s, const struct reg *r0, struct state **other);

/** Pointers into the packet are void from now on. @return false: out of memory. */
bool call_forget_packet(struct verifier *v, struct state *s);

/* dynptr.c: `type` is an enum dynptr_type, DYNPTR_NONE: any. Offsets are from r10 of the frame. */
enum reason dynptr_may_overwrite(struct verifier *v, const struct frame *f, int64_t lo, int64_t end);
bool dynptr_overwrite(struct verifier *v, struct state *s, unsigned frame, int64_t lo, int64_t end);
/** Is there room for a dynptr where the register points? dynptr_make() follows. */
enum reason dynptr_check_new(struct verifier *v, const struct state *s, unsigned reg);
/** `ref`: what it shares with the one that it is a clone of; 0: what it holds is its own. */
bool dynptr_make(struct verifier *v, struct state *s, const struct reg *where, unsigned type, uint32_t ref);
/** Is there one? *out: its record. */
enum reason dynptr_check(struct verifier *v, const struct state *s, unsigned reg, unsigned type, struct reg *out);
/** What a callback gets that is handed a dynptr of memory: a register of kind DYNPTR. */
struct reg dynptr_handed_over(struct verifier *v);
/** The dynptrs that hold this reference are gone. */
bool dynptr_release(struct verifier *v, struct state *s, uint32_t ref);

/* iter.c: iterators on the stack; `type` is a row's. Offsets are from r10 of the frame. */
struct iter_type;
/** Is there room for one where the register points? iter_make() follows. */
enum reason iter_check_new(struct verifier *v, const struct state *s, unsigned reg, const struct iter_type *type);
/** `guarded`: it and what it yields is good for a section of RCU alone. @return false: out of memory. */
bool iter_make(struct verifier *v, struct state *s, const struct reg *where, const struct iter_type *type, bool guarded,
               enum ref_kind kind);
/** Is there one? *ref: what destroying it gives back. */
enum reason iter_check(struct verifier *v, const struct state *s, unsigned reg, const struct iter_type *type,
                       uint32_t *ref);
bool iter_destroy(struct verifier *v, struct state *s, const struct reg *where, const struct iter_type *type);
/** How far what it yields is to be trusted (enum reg_trust). */
unsigned iter_trust(const struct state *s, const struct reg *where);
/** r0 is what it yields or NULL: s goes on with NULL, *other with what it yields if there may be more. */
enum reason iter_next(struct verifier *v, struct state *s, const struct reg *where, struct state **other);
/** Does this instruction move an iterator? Before it: may the iterator yield more? */
bool iter_is_next(const struct verifier *v, uint32_t at);
bool iter_goes_on(const struct state *s);
/** Is one that is active in both at different depths? */
bool iter_depths_differ(const struct verifier *v, const struct state *old, const struct state *cur);
bool iter_overwrite(struct verifier *v, struct state *s, unsigned frame, int64_t lo, int64_t end);
bool iter_section_ends(struct verifier *v, struct state *s);

/* field.c: special fields of map values and of objects. */
/** Those of what r points to; NULL: it has none. */
const struct fields *reg_fields(const struct verifier *v, const struct reg *r);
/** Does what r points to hold a lock? Then its id says which one. */
bool reg_has_lock(const struct verifier *v, const struct reg *r);
/** Does r point to the field of this kind of a map's value? */
enum reason field_check(struct verifier *v, const struct reg *r, unsigned reg, enum field_kind kind);
/** May these bytes be touched, as far as special fields go? */
enum reason field_check_access(struct verifier *v, const struct reg *base, const struct access *a);
/** The pointer of a map's value that a checked access loads or stores; NULL: none. */
const struct field *field_loaded(const struct verifier *v, const struct reg *base, const struct access *a);
/** Does r point to a lock? */
enum reason lock_check(struct verifier *v, const struct reg *r, unsigned reg, enum field_kind kind);
enum reason lock_step(struct verifier *v, struct state *s, const struct reg *r, bool lock);
/** Is the lock held that stands in what r points to? */
bool lock_holds(const struct state *s, const struct reg *r);
/** Does r point to a kptr that may be exchanged? */
enum reason kptr_check_place(struct verifier *v, const struct reg *r, unsigned reg, const struct field **out);
/** May this register be stored there? `exchange`: by bpf_kptr_xchg(), which takes its reference. */
enum reason kptr_check_value(struct verifier *v, const struct state *s, const struct field *f, unsigned reg,
                             bool exchange);
/** Does a run's environment know the reference to what is taken out of it? */
bool kptr_is_held(const struct verifier *v, const struct field *f);
/** What stood there, taken out; and what a load yields. */
struct reg kptr_taken(struct verifier *v, const struct field *f);
struct reg kptr_loaded(struct verifier *v, const struct state *s, const struct field *f);

/* object.c */
/** Is the instruction being executed one of a function that compares nodes of a tree? */
bool object_in_less(const struct verifier *v);

/* global.c */
/** What functions do, before exploration. @return false: out of memory. */
bool global_init(struct verifier *v);
void global_free(struct verifier *v);
/** The global function that this instruction calls; 0: none. */
uint32_t global_called_at(const struct verifier *v, const struct insn *insn);
enum reason global_call(struct verifier *v, struct state *s, uint32_t func);
/** What the function's prototype lets it find in its argument registers, in the state that enters it. */
enum reason global_arguments(struct verifier *v, uint32_t func, struct state *s);
/** Explores each global function that was called where exploration has been, and those that they call. */
enum reason global_verify_called(struct verifier *v, uint32_t *insn);

/* callback.c */
/** Does this call go on in a function of the program before it is over? */
bool callback_is_called_by(const struct verifier *v, const struct insn *insn);
/** What loading the address of a function yields. */
enum reason callback_take(struct verifier *v, uint32_t start, struct reg *out);
/** Does this call put a function off, to run later by itself? */
bool callback_is_put_off_by(const struct verifier *v, const struct insn *insn);
/** A helper's call whose arguments are fine, before its registers are clobbered: *other goes on in the callback. root:
 * what the nodes hang at that it gets, NULL for others. */
enum reason callback_call(struct verifier *v, struct state *s, const struct helper *h, uint32_t func,
                          const struct field *root, struct state **other);
/** The end of a function that was put off. */
enum reason callback_leaves(struct verifier *v, struct state *s);
/** The end of a callback: back before the call. */
enum reason callback_exit(struct verifier *v, struct state *s);

/* step.c: executes the instruction at s->insn. *other: a second successor, or NULL; *done: the path ends here. */
enum reason step(struct verifier *v, struct state *s, struct state **other, bool *done);

/* precision.c */
/** Marks that the value of these registers and slots before s->insn matters, in every saved state that it came from. */
enum reason precision_mark(struct verifier *v, const struct state *s, const struct marks *m);
/** What counted in a saved state counts on this path, which stops there. */
enum reason precision_adopt(struct verifier *v, const struct marks *m, const struct state *s);
enum reason precision_mark_reg(struct verifier *v, const struct state *s, unsigned reg);

/* equal.c */
enum compare {
    COMPARE_PRUNE, /* may cur stop because old was explored? */
    COMPARE_EXACT, /* has cur come back to old? */
    COMPARE_RANGE, /* as PRUNE, every scalar precise: for loops that an instruction of their own bounds */
};
bool states_equal(struct verifier *v, const struct checkpoint *old, const struct state *cur, enum compare how);

/* contains.c: the states that were explored, kept for watching runs (contains.h). */
struct explored *explored_new(const struct verifier *v);
/** Keeps a copy of the state, as long as there are not too many. @return false: out of memory. */
bool explored_keep(struct explored *x, struct pool *pool, struct state *s);
/** The kept states lie in the pool: it becomes theirs, and is empty then. */
void explored_take(struct explored *x, struct pool *pool);

/* explore.c: the only loop. */
enum reason explore(struct verifier *v, uint32_t *insn);

static inline const struct insn *insn_at(const struct verifier *v, uint32_t i)
{
    return &v->prog->insns[i];
}

#endif
