/*
 * From a verdict to how a program runs: accepted ones unchecked, with facts; what the verifier cannot judge yet
 * checked; refused ones not at all. Who asks for checked or unchecked execution is not judged.
 */
#include "api/core/core.h"
#include "verifier/contains.h"
#include "verifier/report.h"
#include <errno.h>
#include <stdlib.h>

static int refused(const struct prog *prog, const struct verify_result *r, const struct log *log)
{
    struct buf text = {0};

    report_text(prog, r, &text);
    while (text.len && text.data[text.len - 1] == '\n')
        text.data[--text.len] = 0;
    log_fail(log, -EACCES, "%s", buf_text(&text));
    buf_free(&text);
    return -EACCES;
}

/* Keeps what is explored: with all numbers, where that comes to an end, else pointers alone. */
static int verify_kept(const struct prog *prog, struct verify_opts *opts, const struct log *log,
                       struct verify_result *out)
{
    int err;

    opts->keep_states = VERIFY_KEEP_EXACT;
    err = verify_prog(prog, opts, log, out);
    if (err || (out->verdict != VERDICT_REJECT && !(out->explored && explored_unfit(out->explored))))
        return err;
    verify_result_free(out);
    opts->keep_states = VERIFY_KEEP_POINTERS;
    return verify_prog(prog, opts, log, out);
}

int program_judge(const struct prog *prog, const struct skep_exec_opts *user, const struct verify_opts *base,
                  const struct log *log, struct judgement *out)
{
    struct skep_exec_opts exec;
    struct verify_opts opts = *base;
    struct verify_result result;
    int err;

    *out = (struct judgement){.checked = true};
    if (!opts_read(&exec, sizeof(exec), user))
        return log_fail(log, -EINVAL, "options of execution that this library does not know");
    if (exec.engine && !engine_find(exec.engine))
        return log_fail(log, -EINVAL, "there is no engine '%s'", exec.engine);
    if (exec.privilege > SKEP_UNPRIVILEGED || (exec.checked && exec.unchecked))
        return log_fail(log, -EINVAL, "options of execution that do not go together");
    if (exec.checked || exec.unchecked || exec.lenient) {
        out->checked = !exec.unchecked;
        return 0;
    }
    if (exec.privilege != SKEP_PRIVILEGE_DEFAULT)
        opts.unprivileged = exec.privilege == SKEP_UNPRIVILEGED;
    opts.max_insns = exec.verify_insns;
    err = exec.check_invariants ? verify_kept(prog, &opts, log, &result) : verify_prog(prog, &opts, log, &result);
    if (err)
        return log_fail(log, err, "program '%s': cannot be verified: %s", prog->name, strerror(-err));
    if (result.verdict == VERDICT_REJECT) {
        err = refused(prog, &result, log);
        verify_result_free(&result);
        return err;
    }
    if (result.verdict == VERDICT_UNSUPPORTED) {
        log_info(log, "program '%s' is not verified, since the verifier does not know %s; it runs checked", prog->name,
                 result.message);
        return 0;
    }
    out->checked = exec.check_invariants || result.facts.wants_checks;
    out->verified = true;
    out->facts = result.facts;
    out->ctx_needed = prog->type ? result.facts.ctx_size : opts.raw_mem_size;
    out->explored = result.explored;
    if (out->explored && explored_unfit(out->explored))
        log_warn(log, "program '%s' runs checked, and not watched: %s", prog->name, explored_unfit(out->explored));
    return 0;
}

void judgement_free(struct judgement *j)
{
    explored_free(j->explored);
    j->explored = NULL;
    free((void *)j->facts.insns);
    j->facts = (struct facts){0};
    j->ctx_needed = 0;
}
