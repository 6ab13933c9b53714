/*
 * coretest TARGET OBJ...: applies every CO-RE relocation of each object against TARGET's types, once with libbpf and
 * once with ours, and compares value by value. What libbpf did is read from what it says while it loads; the programs
 * need not pass the verifier for that. Ends with "N passed, N failed, N skipped"; needs bpf(2).
 */
#include "loader/btf_ext.h"
#include "loader/btf_file.h"
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_RELOS = 4096 };

/* What became of a relocation, by its section and place there. */
struct fate {
    char section[64];
    unsigned index;
    bool resolved;
    unsigned long long value;
};

static struct fate fates[MAX_RELOS];
static unsigned n_fates;
static char section[64]; /* that libbpf works on */

static struct fate *fate_of(const char *sec, unsigned index, bool make)
{
    for (unsigned i = 0; i < n_fates; i++)
        if (fates[i].index == index && !strcmp(fates[i].section, sec))
            return &fates[i];
    if (!make || n_fates == MAX_RELOS)
        return NULL;
    fates[n_fates] = (struct fate){.index = index};
    snprintf(fates[n_fates].section, sizeof(fates[0].section), "%s", sec);
    return &fates[n_fates++];
}

static int listen(enum libbpf_print_level level, const char *fmt, va_list ap)
{
    char text[1024];
    const char *relo, *arrow;
    unsigned index;

    (void)level;
    vsnprintf(text, sizeof(text), fmt, ap);
    if (strstr(text, "CO-RE relocations") && sscanf(text, "libbpf: sec '%63[^']': found", section) == 1)
        return 0;
    relo = strstr(text, "': relo #");
    if (!relo || sscanf(relo, "': relo #%u:", &index) != 1)
        return 0;
    arrow = strstr(relo, " -> ");
    if (strstr(relo, "patched insn") && arrow && !strstr(relo, "mem_sz")) {
        struct fate *f = fate_of(section, index, true);

        if (f) {
            f->resolved = true;
            f->value = strtoull(arrow + 4, NULL, 10);
        }
    } else if (strstr(relo, "substituting insn") || strstr(relo, "ambiguity")) {
        fate_of(section, index, true);
    }
    return 0;
}

/* @return false where programs cannot be loaded at all. */
static bool ask_libbpf(const char *path, const char *target)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .btf_custom_path = target);
    struct bpf_object *obj = bpf_object__open_file(path, &opts);

    n_fates = 0;
    if (obj) {
        bpf_object__load(obj);
        bpf_object__close(obj);
    }
    return n_fates > 0;
}

static bool same(const struct fate *f, const struct core_result *res)
{
    if (!f->resolved || !res->resolved)
        return f->resolved == res->resolved;
    /* An instruction's immediate shows the lower half only. */
    return f->value == res->value || (uint32_t)f->value == (uint32_t)res->value;
}

struct counts {
    unsigned passed, failed, unseen;
};

static void compare_section(struct core_ctx *ctx, const struct btf_ext_section *s, Elf_Data *data, const char *path,
                            struct counts *counts)
{
    for (uint32_t i = 0; i < s->n_relos; i++) {
        const struct fate *f = fate_of(s->name, i, false);
        struct core_result res;
        int err = core_relocate(ctx, &s->relos[i], data->d_buf, (uint32_t)(data->d_size / 8), s->relos[i].off / 8, NULL,
                                &res);

        if (!f) {
            counts->unseen++;
        } else if (!err && same(f, &res)) {
            counts->passed++;
        } else {
            printf("%s: %s: relocation %u (%s of %s): libbpf %s %llu, ours %s %llu %s\n", path, s->name, i,
                   core_kind_name(s->relos[i].kind), res.spec, f->resolved ? "has" : "finds nothing,", f->value,
                   err            ? "fails,"
                   : res.resolved ? "has"
                                  : "finds nothing,",
                   (unsigned long long)res.value, res.reason);
            counts->failed++;
        }
    }
}

static const char *section_name(Elf *elf, Elf_Scn *scn)
{
    GElf_Shdr sh;
    size_t names;

    return !elf_getshdrstrndx(elf, &names) && gelf_getshdr(scn, &sh) ? elf_strptr(elf, names, sh.sh_name) : "";
}

static bool compare(const char *path, const char *target_path, struct counts *counts)
{
    struct btf *local = NULL, *target = NULL;
    const struct btf_ext *ext = NULL;
    struct arena arena = {0};
    struct core_ctx *ctx = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    bool ok = elf && !btf_load_file(path, NULL, NULL, &local) && !btf_load_file(target_path, NULL, NULL, &target);

    for (Elf_Scn *scn = NULL; ok && (scn = elf_nextscn(elf, scn));) {
        Elf_Data *data = !strcmp(section_name(elf, scn), ".BTF.ext") ? elf_rawdata(scn, NULL) : NULL;

        ok = !data || !btf_ext_parse(&arena, data->d_buf, data->d_size, local, NULL, &ext);
    }
    if (ok)
        ctx = core_new(&arena, local, target);
    ok = ctx != NULL;
    for (Elf_Scn *scn = NULL; ctx && (scn = elf_nextscn(elf, scn));) {
        const struct btf_ext_section *s = btf_ext_find(ext, section_name(elf, scn));

        if (s)
            compare_section(ctx, s, elf_getdata(scn, NULL), path, counts);
    }
    core_free(ctx);
    arena_free(&arena);
    btf_free(local);
    btf_free(target);
    elf_end(elf);
    close(fd);
    return ok;
}

int main(int argc, char **argv)
{
    struct counts counts = {0};
    unsigned skipped = 0;

    elf_version(EV_CURRENT);
    libbpf_set_print(listen);
    for (int i = 2; i < argc; i++) {
        if (!ask_libbpf(argv[i], argv[1])) {
            skipped++;
        } else if (!compare(argv[i], argv[1], &counts)) {
            printf("%s: cannot be read\n", argv[i]);
            counts.failed++;
        }
    }
    if (counts.unseen)
        printf("libbpf stopped before %u relocations\n", counts.unseen);
    printf("%u passed, %u failed, %u skipped\n", counts.passed, counts.failed, skipped);
    return counts.failed != 0;
}
