/* What `skep diff` says of each side of a comparison, and of what differs in every run. */
#include "cli/diff.h"
#include "vm/abi/helpers.h"
#include <inttypes.h>
#include <string.h>

static const char *state_text(const struct side *s)
{
    return s->state == SIDE_RUNS      ? s->unjudged ? "unsupported" : "accept"
           : s->state == SIDE_REJECTS ? "reject"
                                      : "cannot";
}

static const char *verdict_of(const struct side *s, uint32_t value)
{
    return skep_prog_type_verdict(skep_program__type(s->prog), value);
}

static void json_returned(struct json_writer *w, const struct side *s)
{
    json_name(w, "returned");
    json_array_begin(w);
    for (uint32_t i = 0; i < s->n_returned; i++) {
        const char *verdict = verdict_of(s, s->returned[i].value);
        json_object_begin(w);
        json_u64_at(w, "value", s->returned[i].value);
        if (verdict)
            json_str_at(w, "verdict", verdict);
        json_u64_at(w, "count", s->returned[i].n);
        json_object_end(w);
    }
    json_array_end(w);
    json_u64_at(w, "trapped", s->trapped);
    json_u64_at(w, "events", s->sent);
}

/* ": 2 (XDP_PASS) 48 times, 1 (XDP_DROP) 2 times; 2 events" */
static void print_returned(const struct side *s)
{
    const char *sep = ": ";
    uint64_t told = 0;
    for (uint32_t i = 0; i < s->n_returned; i++, sep = ", ") {
        const char *verdict = verdict_of(s, s->returned[i].value);
        printf("%s%u%s%s%s", sep, s->returned[i].value, verdict ? " (" : "", verdict ? verdict : "",
               verdict ? ")" : "");
        if (s->ran > 1)
            printf(" %" PRIu64 " times", s->returned[i].n);
        told += s->returned[i].n;
    }
    if (s->trapped)
        printf("%strapped %" PRIu64 " times", sep, s->trapped), sep = ", ";
    if (told + s->trapped < s->ran)
        printf("%sother %" PRIu64 " times", sep, s->ran - told - s->trapped);
    if (s->sent)
        printf("; %" PRIu64 " event%s", s->sent, s->sent == 1 ? "" : "s");
    putchar('\n');
}

void side_show(struct cli *c, const struct side *s)
{
    if (c->json) {
        json_object_begin(&c->w);
        json_str_at(&c->w, "side", s->name);
        json_str_at(&c->w, "verdict", state_text(s));
        if (s->state != SIDE_RUNS)
            json_str_at(&c->w, "why", s->why);
        json_u64_at(&c->w, "ran", s->ran);
        json_returned(&c->w, s);
        json_object_end(&c->w);
    } else if (s->state == SIDE_RUNS) {
        printf("  %-7s %s it and ran %" PRIu64, s->name, s->unjudged ? "cannot judge" : "accepts", s->ran);
        print_returned(s);
    } else {
        printf("  %-7s %s: %.*s\n", s->name, s->state == SIDE_REJECTS ? "rejects it" : "cannot run it",
               (int)strcspn(s->why, "\n"), s->why);
    }
}

/* ---- What no two runs have in common ---- */

void show_varying(struct cli *c, const struct side *s, bool differs)
{
    static const char *const varying[] = {"ktime_get_ns",     "ktime_get_boot_ns", "ktime_get_coarse_ns",
                                          "ktime_get_tai_ns", "jiffies64",         "get_prandom_u32",
                                          "get_stackid",      "get_stack",         "get_current_task",
                                          "perf_event_read",  "get_hash_recalc"};
    const struct prog *prog = s->obj && s->prog ? s->obj->obj->progs[s->prog->index].prog : NULL;
    if (c->json) {
        json_name(&c->w, "varies");
        json_array_begin(&c->w);
    }
    for (size_t k = 0; prog && k < sizeof(varying) / sizeof(*varying); k++)
        for (uint32_t i = 0; i < prog->n_insns; i++) {
            const struct insn *insn = &prog->insns[i];
            const struct helper *h = insn->op == ISA_CALL_HELPER ? helper_find((uint32_t)insn->imm) : NULL;
            if (!h || strcmp(h->name, varying[k]))
                continue;
            if (c->json)
                json_string(&c->w, varying[k]);
            else if (differs)
                printf("  it calls bpf_%s, which says something else in every run\n", varying[k]);
            break;
        }
    if (c->json)
        json_array_end(&c->w);
}
