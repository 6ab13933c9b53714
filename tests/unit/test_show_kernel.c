/*
 * bpf_snprintf_btf against the running kernel: the same bytes shown through the same types, with every combination of
 * flags and room. What is shown lies in a map's value on both sides. Addresses are hashed by Linux unless they are
 * asked for as they are.
 */
#include "tests/unit/both.h"
#include "vm/btf/kernel_show.h"

enum { TYPE_BYTES = BOTH_VALUE };

static struct btf *types;
static unsigned char bytes[BOTH_VALUE], zeroes[BOTH_VALUE];

static bool ready(void)
{
    if (!both_kernel_ok())
        return false;
    if (!types && btf_load_raw("/sys/kernel/btf/vmlinux", NULL, NULL, &types)) {
        print_message("this kernel has no types\n");
        return false;
    }
    return true;
}

/* The text is the value of map b, its length the result. */
static void compare(const char *name, uint32_t id, unsigned room, unsigned flags)
{
    char text[600], what[200];
    struct both_in in = {
        .text = text, .type = BPF_PROG_TYPE_RAW_TRACEPOINT, .maps = {bytes, zeroes, zeroes, zeroes}, .types = types};

    snprintf(what, sizeof(what), "%s (%u), room %u, flags %u", name, id, room, flags);
    snprintf(text, sizeof(text),
             "r1 = map[a][0]\n*(u64 *)(r10 - 16) = r1\nr1 = %u\n*(u64 *)(r10 - 8) = r1\n"
             "r1 = map[b][0]\nr2 = %u\nr3 = r10\nr3 += -16\nr4 = 16\nr5 = %u\ncall snprintf_btf\nexit\n",
             id, room, flags);
    both_compare(what, &in);
}

/* Zero, a few bytes, many: what is shown depends on where something is not zero. Type 4: text. */
static void fill(unsigned round)
{
    uint64_t state = round * 977 + 1;

    memset(bytes, 0, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes) && round; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        if (round == 3 || (round == 1 && state >> 59 == 0) || (round == 2 && (state >> 60) < 4))
            bytes[i] = (unsigned char)(state >> 40);
        if (round == 4)
            bytes[i] = state >> 61 ? (unsigned char)('a' + (state >> 50) % 26) : 0;
    }
}

/* Linux follows a modifier of void, or a variable, to nowhere: such types stay out. Sizes are those that the value has
 * room for. */
static bool may_show(uint32_t id, unsigned depth)
{
    const struct btf_type *t = btf_type_at(types, id);
    uint32_t to = btf_resolve(types, id);

    switch (btf_kind(t)) {
    case BTF_TYPEDEF:
    case BTF_CONST:
    case BTF_VOLATILE:
    case BTF_RESTRICT:
    case BTF_TYPE_TAG: return to && may_show(to, depth + 1);
    case BTF_INT:
    case BTF_PTR:
    case BTF_ENUM:
    case BTF_ENUM64: return true;
    case BTF_ARRAY: return depth < 32 && btf_array_of(t)->nelems < 4096 && may_show(btf_array_of(t)->type, depth + 1);
    case BTF_STRUCT:
    case BTF_UNION:
        for (unsigned i = 0; i < btf_vlen(t); i++)
            if (depth >= 32 || !may_show(btf_members(t)[i].type, depth + 1))
                return false;
        return true;
    default: return false;
    }
}

static bool fits(uint32_t id)
{
    int64_t size = btf_size(types, id);

    return size > 0 && size <= TYPE_BYTES && may_show(id, 0);
}

static void named_types_are_shown_alike(void **state)
{
    static const char *const names[] = {
        "list_head", "path",   "qstr",    "timespec64",  "iattr",    "kstat",    "in6_addr",        "ethhdr",
        "iphdr",     "tcphdr", "sk_buff", "sock_common", "flowi4",   "bpf_insn", "perf_event_attr", "pt_regs",
        "cred",      "page",   "utsname", "new_utsname", "bpf_prog", "xdp_md",   "__sk_buff",       "desc_struct"};
    unsigned shown = 0;

    (void)state;
    if (!ready())
        skip();
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        uint32_t id = btf_find(types, names[i], BTF_STRUCT);

        if (!id || !fits(id))
            continue;
        shown++;
        for (unsigned round = 0; round < 5; round++) {
            fill(round);
            for (unsigned flags = 0; flags < 16; flags++)
                if (flags & KERNEL_SHOW_PTR_RAW || !round)
                    compare(names[i], id, BOTH_VALUE, flags);
        }
    }
    assert_true(shown > 15);
}

static void types_of_all_kinds_are_shown_alike(void **state)
{
    unsigned shown = 0;

    (void)state;
    if (!ready())
        skip();
    for (uint32_t id = 1; id < btf_count(types); id += 11) {
        if (!fits(id))
            continue;
        shown++;
        fill(shown % 5);
        compare(btf_name(types, id), id, BOTH_VALUE,
                shown % 4 | KERNEL_SHOW_PTR_RAW | (shown & 4 ? KERNEL_SHOW_ZERO : 0));
    }
    assert_true(shown > 1000);
}

static void a_small_room_ends_the_text(void **state)
{
    (void)state;
    if (!ready())
        skip();
    fill(2);
    for (unsigned room = 1; room < 90; room++)
        compare("tcphdr", btf_find(types, "tcphdr", BTF_STRUCT), room, KERNEL_SHOW_ZERO | (room & 1));
}

static void what_cannot_be_shown_fails_alike(void **state)
{
    uint32_t int_id, id;

    (void)state;
    if (!ready())
        skip();
    int_id = btf_find(types, "int", BTF_INT);
    compare("no flag", int_id, 64, 16);
    compare("no type", 0, 64, 0);
    compare("no such type", btf_count(types) + 100000, 64, 0);
    id = btf_find(types, "vfs_read", BTF_FUNC);
    compare("a function", id, 64, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(named_types_are_shown_alike),
        cmocka_unit_test(types_of_all_kinds_are_shown_alike),
        cmocka_unit_test(a_small_room_ends_the_text),
        cmocka_unit_test(what_cannot_be_shown_fails_alike),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    btf_free(types);
    return failed;
}
