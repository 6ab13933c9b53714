/*
 * Raw programs and what all programs tell about themselves. Lowering is the same for raw programs and those of objects:
 * program_lower() turns the public choices of execution into those of vm/code. A program holds one reference to its
 * code, and its code holds the maps, so that a program outlives the wrappers of the maps it was loaded with.
 */
#include "api/core/core.h"
#include "verifier/contains.h"
#include "vm/abi/map_types.h"
#include "vm/abi/prog_types.h"
#include "vm/interp/interp.h"
#include <errno.h>
#include <skep/program.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert((int)SKEP_OPT_FUSE == (int)CODE_OPT_FUSE && (int)SKEP_OPT_FACTS == (int)CODE_OPT_FACTS &&
                   (int)SKEP_OPT_INLINE == (int)CODE_OPT_INLINE && (int)SKEP_OPT_SPECIAL == (int)CODE_OPT_SPECIAL,
               "public and internal names of optimisations differ");

/* Those of the JIT stand above the others, in the same order as its own. */
enum { IR_SHIFT = 8, OPTS_KNOWN = CODE_OPT_ALL | IR_OPT_ALL << IR_SHIFT | SKEP_OPT_ALLOC | SKEP_OPT_LAYOUT };
_Static_assert((int)SKEP_OPT_PROMOTE == (int)IR_OPT_PROMOTE << IR_SHIFT &&
                   (int)SKEP_OPT_WEBS == (int)IR_OPT_WEBS << IR_SHIFT &&
                   (int)SKEP_OPT_SIMPLIFY == (int)IR_OPT_SIMPLIFY << IR_SHIFT &&
                   (int)SKEP_OPT_ROTATE == (int)IR_OPT_ROTATE << IR_SHIFT &&
                   (int)SKEP_OPT_ADDRESS == (int)IR_OPT_ADDRESS << IR_SHIFT &&
                   (int)SKEP_OPT_WIDE == (int)IR_OPT_WIDE << IR_SHIFT &&
                   (int)SKEP_OPT_MEMORY == (int)IR_OPT_MEMORY << IR_SHIFT &&
                   (int)SKEP_OPT_SELECT == (int)IR_OPT_SELECT << IR_SHIFT &&
                   (int)SKEP_OPT_DIVIDE == (int)IR_OPT_DIVIDE << IR_SHIFT &&
                   (int)SKEP_OPT_UNROLL == (int)IR_OPT_UNROLL << IR_SHIFT &&
                   (int)SKEP_OPT_UNROLL << 1 == (int)SKEP_OPT_ALLOC,
               "public and internal names of optimisations differ");

static uint32_t ir_off(uint32_t no_opts)
{
    uint32_t off = no_opts >> IR_SHIFT & IR_OPT_ALL;

    if (no_opts & SKEP_OPT_ALLOC)
        off |= JIT_NO_ALLOC;
    if (no_opts & SKEP_OPT_LAYOUT)
        off |= JIT_NO_LAYOUT;
    return off;
}

/* ---- Which engine ---- */

/* Why this program is not to become machine code; NULL: nothing speaks against it. */
static const char *unfit(const struct skep_exec_opts *exec, const struct judgement *how, int *err)
{
    *err = -EOPNOTSUPP;
    if (how->explored)
        return "it is watched, which machine code is not";
    if (how->checked)
        return "it runs checked, and machine code checks nothing";
    *err = -EPERM;
    if (!how->verified && !exec->jit_unverified)
        return "it is neither verified nor checked, and machine code of it was not asked for (jit_unverified)";
    return NULL;
}

/* Keeps the first error, of what may yet be done otherwise. */
struct words {
    char text[200];
};

static void keep_words(void *ctx, enum skep_log_level level, const char *text)
{
    struct words *w = ctx;

    if (level == SKEP_LOG_ERROR && !*w->text)
        snprintf(w->text, sizeof(w->text), "%s", text);
}

int vm_jit(struct skep_vm *vm, struct jit **out, const char **why)
{
    pthread_mutex_lock(&vm->lock);
    if (!vm->jit && !vm->jit_err) {
        struct words words = {""};
        struct log log = {.fn = keep_words, .ctx = &words, .max = SKEP_LOG_ERROR};
        vm->jit_err = jit_new(&vm->jit, &vm->jit_config, &log);
        snprintf(vm->jit_why, sizeof(vm->jit_why), "%s", *words.text ? words.text : strerror(-vm->jit_err));
    }
    pthread_mutex_unlock(&vm->lock);
    *out = vm->jit;
    *why = vm->jit_why;
    return vm->jit_err;
}

/* What becomes code, and how. */
struct lowering {
    struct prog *prog;
    struct map *const *maps;
    const struct facts *facts;
    struct code_opts opts;
    bool must; /* this engine and no other */
};

static int interpret(struct lowering *l, const struct log *log, struct code **out)
{
    l->opts.engine = interp_engine.name;
    return code_lower(l->prog, l->facts, l->maps, &l->opts, &interp_engine, log, out);
}

static int refuse(const struct lowering *l, int err, const char *why, const struct log *log)
{
    return log_fail(log, err, "program '%s' cannot run on engine 'jit': %s", l->prog->name, why);
}

static int compile(struct lowering *l, struct skep_vm *vm, const struct log *log, struct code **out)
{
    struct words words = {""};
    struct log kept = {.fn = keep_words, .ctx = &words, .max = SKEP_LOG_ERROR};
    const char *why;
    int err = vm_jit(vm, &l->opts.jit, &why);

    if (err && l->must)
        return refuse(l, err, why, log);
    if (err) {
        log_info(log, "program '%s' is interpreted: %s", l->prog->name, why);
        return interpret(l, log, out);
    }
    l->opts.engine = jit_engine.name;
    err = code_lower(l->prog, l->facts, l->maps, &l->opts, &jit_engine, l->must ? log : &kept, out);
    if (!err || l->must)
        return err;
    log_info(log, "program '%s' is interpreted: %s", l->prog->name, *words.text ? words.text : strerror(-err));
    l->opts.jit = NULL;
    return interpret(l, log, out);
}

int program_lower(struct skep_vm *vm, struct prog *prog, struct map *const *maps, const struct skep_exec_opts *user,
                  const struct judgement *how, const struct log *log, struct code **out)
{
    struct skep_exec_opts exec;
    if (!opts_read(&exec, sizeof(exec), user))
        return log_fail(log, -EINVAL, "options of execution that this library does not know");
    if (exec.no_opts & ~(uint32_t)OPTS_KNOWN)
        return log_fail(log, -EINVAL, "unknown optimisations 0x%x", exec.no_opts & ~(uint32_t)OPTS_KNOWN);
    const struct engine *engine = exec.engine ? engine_find(exec.engine) : NULL;
    if (exec.engine && !engine)
        return log_fail(log, -EINVAL, "there is no engine '%s'", exec.engine);
    struct lowering l = {.prog = prog,
                         .maps = maps,
                         .facts = how->facts.insns ? &how->facts : NULL,
                         .must = engine,
                         .opts = {.checked = how->checked,
                                  .opts = CODE_OPT_ALL & ~exec.no_opts,
                                  .no_ir = ir_off(exec.no_opts),
                                  .count_insns = exec.count_insns || how->checked,
                                  .traced = how->explored}};
    int err;
    const char *why = unfit(&exec, how, &err);
    if (why && !engine)
        log_info(log, "program '%s' is interpreted: %s", prog->name, why);
    if (engine == &interp_engine || (why && !engine))
        err = interpret(&l, log, out);
    else
        err = why ? refuse(&l, err, why, log) : compile(&l, vm, log, out);
    if (err)
        return err;
    (*out)->id = vm_next_id(vm);
    (*out)->ctx_needed = how->ctx_needed;
    return 0;
}

/* ---- Loading ---- */

struct load {
    struct skep_vm *vm;
    const struct map_def **defs;
    struct map **maps;
    struct prog *prog;
    struct skep_program *out;
};

static int take_maps(struct load *l, const struct skep_prog_load_opts *opts)
{
    if (opts->map_cnt && !opts->maps)
        return -EINVAL;
    l->defs = calloc((size_t)opts->map_cnt + 1, sizeof(*l->defs));
    l->maps = calloc((size_t)opts->map_cnt + 1, sizeof(*l->maps));
    if (!l->defs || !l->maps)
        return -ENOMEM;
    for (uint32_t i = 0; i < opts->map_cnt; i++) {
        struct skep_map *map = opts->maps[i];
        if (!map || !map->map)
            return log_fail(&l->vm->log, -EINVAL, "map %u of the program does not exist in userspace", i);
        if (map->vm != l->vm)
            return log_fail(&l->vm->log, -EINVAL, "map '%s' belongs to another vm", map->def->name);
        l->defs[i] = map->def;
        l->maps[i] = map->map;
    }
    return 0;
}

static int load(struct load *l, const struct prog_spec *spec, const struct skep_prog_load_opts *opts)
{
    struct skep_exec_opts exec;
    if (!opts_read(&exec, sizeof(exec), opts->exec))
        return -EINVAL;
    struct prog_spec with_maps = *spec;
    with_maps.maps = l->defs;
    with_maps.n_maps = opts->map_cnt;
    int err = prog_new(&with_maps, exec.lenient, &l->vm->log, &l->prog);
    if (err)
        return err;
    l->out = calloc(1, sizeof(*l->out));
    if (!l->out)
        return -ENOMEM;
    struct verify_opts rules = {
        .unprivileged = true, .raw_mem_size = opts->mem_size, .raw_mem_writable = !opts->mem_read_only};
    struct judgement how;
    err = program_judge(l->prog, opts->exec, &rules, &l->vm->log, &how);
    if (err)
        return err;
    err = program_lower(l->vm, l->prog, l->maps, opts->exec, &how, &l->vm->log, &l->out->code);
    l->out->explored = how.explored;
    how.explored = NULL;
    judgement_free(&how);
    for (uint32_t i = 0; !err && i < opts->map_cnt; i++)
        err = map_claim(opts->maps[i], l->out->code);
    return err;
}

struct skep_program *skep_prog_load(struct skep_vm *vm, uint32_t type, const char *name, const char *license,
                                    const struct skep_insn *insns, size_t insn_cnt,
                                    const struct skep_prog_load_opts *user)
{
    struct skep_prog_load_opts opts;
    if (!vm || !insns || !insn_cnt || !opts_read(&opts, sizeof(opts), user))
        return fail_null(-EINVAL);
    if (insn_cnt > PROG_MAX_INSNS)
        return fail_null(log_fail(&vm->log, -E2BIG, "%zu instructions are more than %d", insn_cnt, PROG_MAX_INSNS));
    struct prog_spec spec = {.name = name ? name : "prog",
                             .section = "",
                             .file = "",
                             .license = license ? license : "",
                             .attach_target = "",
                             .type = type ? prog_type_find(type) : NULL,
                             .insns = insns,
                             .n_insns = insn_cnt,
                             .helpers = &vm->helpers};
    if (type && !spec.type)
        return fail_null(log_fail(&vm->log, -EINVAL, "there is no program type %u", type));

    struct load l = {.vm = vm};
    int err = take_maps(&l, &opts);
    if (!err)
        err = load(&l, &spec, &opts);
    prog_put(l.prog);
    free(l.defs);
    free(l.maps);
    if (err) {
        if (l.out && l.out->code)
            code_put(l.out->code);
        if (l.out)
            explored_free((struct explored *)l.out->explored);
        free(l.out);
        return fail_null(err);
    }
    l.out->ops = &user_program;
    l.out->vm = vm_get(vm);
    l.out->name = l.out->code->prog->name;
    l.out->type = type;
    return l.out;
}

void skep_program__free(struct skep_program *prog)
{
    if (!prog || prog->object)
        return;
    struct skep_vm *vm = prog->vm;
    code_put(prog->code);
    explored_free((struct explored *)prog->explored);
    free(prog);
    skep_vm__free(vm);
}

/* ---- What it is ---- */

const char *skep_program__name(const struct skep_program *prog)
{
    return prog->name;
}

uint32_t skep_program__type(const struct skep_program *prog)
{
    return prog->type;
}

const char *skep_program__engine(const struct skep_program *prog)
{
    return prog->ops ? prog->ops->engine(prog) : NULL;
}

size_t skep_program__insn_cnt(const struct skep_program *prog)
{
    return prog->code ? prog->code->prog->n_insns : prog->n_insns;
}

const char *skep_prog_type_str(uint32_t type)
{
    const struct prog_type *row = type ? prog_type_find(type) : NULL;
    return type ? row ? row->name : NULL : "raw";
}

int skep_prog_type_by_name(const char *name)
{
    if (!strcmp(name, "raw"))
        return SKEP_PROG_TYPE_RAW;
    const struct prog_type *row = prog_type_by_name(name);
    return row ? (int)row->id : -EINVAL;
}

const char *skep_prog_type_verdict(uint32_t type, uint32_t retval)
{
    const struct prog_type *row = type ? prog_type_find(type) : NULL;
    if (!row || !row->verdicts)
        return NULL;
    for (uint32_t i = 0; row->verdicts[i]; i++)
        if (i == retval)
            return row->verdicts[i];
    return NULL;
}
