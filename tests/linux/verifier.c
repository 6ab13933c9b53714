/*
 * Linux's verifier suite, tools/testing/selftests/bpf/test_verifier.c with its verifier/ folder, compiled where it was
 * unpacked: its tables, its map fixups, its program generators. The calls that it would make into libbpf end here: a
 * map that it creates is a definition of ours, and its file descriptor our index. What it would load into the kernel is
 * judged by our verifier, and both verdicts are laid side by side.
 */
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;

#define main suite_main
#include SUITE_FILE
#undef main

#include "verifier/verify.h"
#include <getopt.h>

enum { FIRST_FD = 1000, MAPS = 64 };

static struct map_def maps[MAPS], inner_def;
static int n_maps, n_btf;

static int note_map(uint32_t type, const char *name, uint32_t key, uint32_t value, uint32_t max, uint32_t flags,
                    int inner_fd)
{
    struct map_def *m = &maps[n_maps];

    if (n_maps == MAPS)
        return -1;
    *m = (struct map_def){
        .type = type, .key_size = key, .value_size = value, .max_entries = max, .flags = flags, .spin_lock_off = -1};
    snprintf(m->name, sizeof(m->name), "%s", name ? name : "map");
    if (inner_fd >= FIRST_FD) {
        inner_def = maps[inner_fd - FIRST_FD];
        m->inner = &inner_def;
    }
    return FIRST_FD + n_maps++;
}

int bpf_map_create(enum bpf_map_type type, const char *name, __u32 key, __u32 value, __u32 max,
                   const struct bpf_map_create_opts *opts)
{
    int fd = note_map(type, name, key, value, max, opts ? opts->map_flags : 0, opts ? (int)opts->inner_map_fd : 0);

    /* The suite's struct val has its lock behind an int; timers and kptrs have types that are not known here yet. */
    if (fd >= 0 && opts && opts->btf_value_type_id == 3)
        maps[fd - FIRST_FD].spin_lock_off = 4;
    if (fd >= 0 && opts && opts->btf_value_type_id > 3)
        maps[fd - FIRST_FD].type = UINT32_MAX;
    return fd;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
    return fd < 0 || !key || !value || flags > 2;
}

int bpf_prog_load(enum bpf_prog_type type, const char *name, const char *license, const struct bpf_insn *insns,
                  size_t n, const struct bpf_prog_load_opts *opts)
{
    return type || name || license || insns || n || opts ? dup(0) : -1;
}

int bpf_btf_load(const void *data, size_t size, const struct bpf_btf_load_opts *opts)
{
    (void)opts;
    n_btf++;
    return data && size ? dup(0) : -1;
}

int libbpf_probe_bpf_map_type(enum bpf_map_type type, const void *opts)
{
    return type && !opts;
}

/* The suite's own driver changes its capabilities; this one loads nothing. */
int cap_enable_effective(__u64 caps, __u64 *old_caps)
{
    (void)caps;
    (void)old_caps;
    return 0;
}

int cap_disable_effective(__u64 caps, __u64 *old_caps)
{
    (void)caps;
    (void)old_caps;
    return 0;
}

enum agreement { AGREE, LAXER, STRICTER, MISSING, UNKNOWN, AGREEMENTS };

static const char *const agreement_names[] = {"agree", "laxer", "stricter", "unsupported", "no verdict"};

/* Linux 6.18 accepts these, which 6.1's suite expects to be refused. */
static const char *const since_accepted[] = {
    "invalid 64-bit BPF_END",
    "bounds checks mixing signed and unsigned, variant 10",
    "bounded loop, start in the middle",
    "read non-existent field rejected",
    "Spill a u32 const scalar.  Refill as u16.  Offset to skb->data",
    "Spill u32 const scalars.  Refill as u64.  Offset to skb->data",
    "spin_lock: test10 lock in subprog without unlock",
};

static bool accepted_since(const char *name)
{
    for (unsigned i = 0; i < sizeof(since_accepted) / sizeof(since_accepted[0]); i++)
        if (strstr(name, since_accepted[i]))
            return true;
    return false;
}

struct judged {
    enum agreement how;
    struct verify_result result;
    char form[256]; /* what prog_new said when the form was refused already */
};

static void keep(void *ctx, enum skep_log_level level, const char *text)
{
    struct judged *j = ctx;

    if (level == SKEP_LOG_ERROR)
        snprintf(j->form, sizeof(j->form), "%s", text);
}

/* Descriptors of maps become indices. */
static void rewrite(struct skep_insn *insns, unsigned n)
{
    for (unsigned i = 0; i + 1 < n; i++) {
        if (insns[i].code != 0x18)
            continue;
        if ((insns[i].src_reg == 1 || insns[i].src_reg == 2) && insns[i].imm >= FIRST_FD &&
            insns[i].imm < FIRST_FD + n_maps) {
            insns[i].imm -= FIRST_FD;
            insns[i].src_reg += 4;
        }
        i++;
    }
}

static void judge(struct bpf_test *test, bool unprivileged, struct judged *j)
{
    const struct map_def *defs[MAPS];
    struct verify_opts opts = {.unprivileged = unprivileged};
    struct log log = {.fn = keep, .ctx = j, .max = SKEP_LOG_WARN};
    int expected = unprivileged && test->result_unpriv != UNDEF ? test->result_unpriv : test->result;
    bool accept = expected == ACCEPT || expected == VERBOSE_ACCEPT;
    struct bpf_insn *insns = test->insns;
    int fds[MAX_NR_MAPS], n;
    struct prog_spec spec = {.name = "test", .section = "", .file = "", .license = "GPL", .attach_target = ""};
    struct prog *prog;

    memset(j, 0, sizeof(*j));
    n_maps = 0;
    if (test->fill_helper)
        bpf_semi_rand_init();
    do_test_fixup(test, test->prog_type, insns, fds);
    if (test->fill_insns) {
        insns = test->fill_insns;
        n = test->prog_len;
    } else {
        n = probe_filter_length(insns);
    }
    rewrite((struct skep_insn *)insns, (unsigned)n);
    for (int i = 0; i < n_maps; i++)
        defs[i] = &maps[i];
    spec.insns = (const struct skep_insn *)insns;
    spec.n_insns = (uint32_t)n;
    spec.type = prog_type_find(test->prog_type ? test->prog_type : BPF_PROG_TYPE_SOCKET_FILTER);
    spec.attach_type = test->expected_attach_type;
    spec.sleepable = test->flags & BPF_F_SLEEPABLE;
    spec.maps = defs;
    spec.n_maps = (uint32_t)n_maps;
    opts.strict_alignment = test->flags & F_LOAD_WITH_STRICT_ALIGNMENT;
    if (accepted_since(test->descr))
        accept = true;
    if (prog_new(&spec, false, &log, &prog)) {
        j->how = accept ? STRICTER : AGREE;
    } else {
        if (verify_prog(prog, &opts, &log, &j->result))
            j->how = UNKNOWN;
        else if (j->result.verdict == VERDICT_UNSUPPORTED)
            j->how = MISSING;
        else if ((j->result.verdict == VERDICT_ACCEPT) == accept)
            j->how = AGREE;
        else
            j->how = accept ? STRICTER : LAXER;
        prog_put(prog);
    }
    free(test->fill_insns);
    test->fill_insns = NULL;
}

int main(int argc, char **argv)
{
    unsigned count[AGREEMENTS] = {0};
    bool all = false, unprivileged = false;
    const char *only = NULL;
    int c;

    while ((c = getopt(argc, argv, "vuo:")) >= 0) {
        all |= c == 'v';
        unprivileged |= c == 'u';
        if (c == 'o')
            only = optarg;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        struct judged j;

        if (only && !strstr(tests[i].descr, only))
            continue;
        if (unprivileged && tests[i].result_unpriv == UNDEF)
            continue;
        judge(&tests[i], unprivileged, &j);
        count[j.how]++;
        if (j.how != AGREE || all)
            printf("%s: %s: %s @%u %s%s%s%s\n", agreement_names[j.how], tests[i].descr, reason_name(j.result.reason),
                   j.result.insn, j.result.message, j.form,
                   tests[i].result == REJECT && tests[i].errstr ? " | Linux: " : "",
                   tests[i].result == REJECT && tests[i].errstr ? tests[i].errstr : "");
        verify_result_free(&j.result);
    }
    printf("verifier suite%s: %zu programs:", unprivileged ? " (unprivileged)" : "", ARRAY_SIZE(tests));
    for (unsigned a = 0; a < AGREEMENTS; a++)
        printf(" %u %s%s", count[a], agreement_names[a], a + 1 < AGREEMENTS ? "," : "\n");
    printf("%u passed, %u failed, %u skipped\n", count[AGREE], count[LAXER] + count[STRICTER] + count[UNKNOWN],
           count[MISSING]);
    return count[LAXER] + count[STRICTER] + count[UNKNOWN] != 0;
}
