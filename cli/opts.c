/* Optimisations by name, for --no-opt and --opt. */
#include "cli/cli.h"
#include <string.h>

bool opts_find(const char *name, uint32_t *bits)
{
    static const struct {
        const char *name;
        uint32_t bits;
    } opts[] = {{"fuse", SKEP_OPT_FUSE},         {"facts", SKEP_OPT_FACTS},     {"inline", SKEP_OPT_INLINE},
                {"special", SKEP_OPT_SPECIAL},   {"promote", SKEP_OPT_PROMOTE}, {"webs", SKEP_OPT_WEBS},
                {"simplify", SKEP_OPT_SIMPLIFY}, {"rotate", SKEP_OPT_ROTATE},   {"address", SKEP_OPT_ADDRESS},
                {"wide", SKEP_OPT_WIDE},         {"memory", SKEP_OPT_MEMORY},   {"select", SKEP_OPT_SELECT},
                {"divide", SKEP_OPT_DIVIDE},     {"unroll", SKEP_OPT_UNROLL},   {"alloc", SKEP_OPT_ALLOC},
                {"layout", SKEP_OPT_LAYOUT}};
    uint32_t all = 0;

    for (size_t i = 0; i < sizeof(opts) / sizeof(*opts); i++) {
        if (!strcmp(opts[i].name, name)) {
            *bits = opts[i].bits;
            return true;
        }
        all |= opts[i].bits;
    }
    *bits = all;
    return !strcmp(name, "all");
}
