/*
 * A test before our verifier. Its rules are Linux's: what Linux runs it must accept, and what the test marks with
 * `; error: NAME` it must refuse there for that reason.
 */
#include "verifier/verify.h"
#include "tests/runner/runner.h"

#include <string.h>

int test_make_prog(const struct test *test, const struct test *maps, bool lenient, const struct log *log,
                   struct prog **out)
{
    const struct map_def *defs[TEST_MAX_MAPS];
    struct prog_spec spec = {.name = *test->name ? test->name : "test",
                             .section = "",
                             .file = test->file,
                             .license = test->license ? test->license : "GPL",
                             .attach_target = "",
                             .attach_type = test->attach_type,
                             .sleepable = test->sleepable,
                             .type = test->type,
                             .insns = test->insns,
                             .n_insns = test->n_insns,
                             .maps = defs,
                             .n_maps = maps->n_maps};

    for (uint32_t i = 0; i < maps->n_maps; i++)
        defs[i] = &maps->maps[i];
    return prog_new(&spec, lenient, log, out);
}

static void compare(const struct test *test, const struct verify_result *r, struct outcome *o, struct arena *arena)
{
    uint32_t line = r->insn < test->n_insns ? test->lines[r->insn] : 0;
    const char *got = r->verdict == VERDICT_REJECT ? reason_name(r->reason) : "ok";

    if (test->unsupported) {
        if (r->verdict != VERDICT_UNSUPPORTED || !strstr(r->message, test->unsupported))
            o->failure = arena_printf(arena, "line %u: the verifier says %s: %s, expected unsupported: %s", line, got,
                                      r->message, test->unsupported);
    } else if (r->verdict == VERDICT_UNSUPPORTED && (test->accept || test->error))
        o->failure = arena_printf(arena, "line %u: unsupported: %s", line, r->message);
    else if (r->verdict == VERDICT_UNSUPPORTED)
        o->skip = arena_printf(arena, "the verifier does not know this yet: %s", r->message);
    else if (strcmp(got, test->error ? test->error : "ok"))
        o->failure = arena_printf(arena, "line %u: the verifier says %s%s%s, expected %s", line, got,
                                  *r->message ? ": " : "", r->message, test->error ? test->error : "ok");
    else if (test->error && line != test->error_line)
        o->failure = arena_printf(arena, "refused on line %u, expected line %u", line, test->error_line);
}

void verifier_run(const struct test *test, struct arena *arena, struct outcome *o)
{
    const struct verify_opts opts = test_verify_opts(test);
    struct keeper keeper = {.arena = arena};
    struct log log = {.fn = keep, .ctx = &keeper, .max = SKEP_LOG_ERROR};
    struct verify_result result = {0};
    struct prog *prog = NULL;
    int err = test_make_prog(test, test, test->error != NULL, &log, &prog);

    if (!err)
        err = verify_prog(prog, &opts, &log, &result);
    if (err)
        o->failure = keeper.first ? keeper.first : "it could not be judged";
    else
        compare(test, &result, o, arena);
    if (!err)
        verify_result_free(&result);
    prog_put(prog);
}

bool verifier_accepts(const struct test *test, struct arena *arena)
{
    struct test any = *test;
    struct outcome o = {0};

    any.error = NULL;
    verifier_run(&any, arena, &o);
    return !o.failure && !o.skip;
}
