/*
 * Section names, made from sections.def in libbpf's order: the first row that matches counts, so longer names stand
 * before the shorter ones that they begin with only where both are exact.
 */
#include "vm/abi/prog_types.h"
#include <stddef.h>
#include <string.h>

enum { SLEEPABLE = 1, FRAGS = 2, ATTACH_NONE = 0 };

#define MATCH_EXACT  true
#define MATCH_PREFIX false

static const struct section_def sections[] = {
#define SECTION(name, match, prog, attach, flags)                                                                      \
    {.prefix = name,                                                                                                   \
     .type = PROG_TYPE_##prog,                                                                                         \
     .attach_type = ATTACH_##attach,                                                                                   \
     .exact = MATCH_##match,                                                                                           \
     .sleepable = ((flags)&SLEEPABLE) != 0,                                                                            \
     .frags = ((flags)&FRAGS) != 0},
#include "vm/abi/sections.def"
};

enum { N_SECTIONS = sizeof(sections) / sizeof(sections[0]) };

const struct section_def *section_find(const char *name, const char **target)
{
    for (unsigned i = 0; i < N_SECTIONS; i++) {
        size_t len = strlen(sections[i].prefix);
        const char *rest = name + len;

        if (strncmp(name, sections[i].prefix, len) || (*rest && (sections[i].exact || *rest != '/')))
            continue;
        if (target)
            *target = *rest ? rest + 1 : rest;
        return &sections[i];
    }
    return NULL;
}

const struct section_def *section_guess(const char *name)
{
    const struct section_def *best = NULL;
    size_t best_len = 0;

    for (unsigned i = 0; i < N_SECTIONS; i++) {
        size_t len = strlen(sections[i].prefix);

        if (len > best_len && !strncmp(name, sections[i].prefix, len)) {
            best = &sections[i];
            best_len = len;
        }
    }
    return best;
}
