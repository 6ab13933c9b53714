#include "vm/abi/trap.h"

static const struct {
    const char *name, *text;
} rows[TRAP_KIND_COUNT] = {
#define TRAP(name, text) [TRAP_##name] = {#name, text},
#include "vm/abi/traps.def"
};

const char *trap_name(enum trap_kind kind)
{
    return (unsigned)kind < TRAP_KIND_COUNT ? rows[kind].name : "unknown";
}

const char *trap_text(enum trap_kind kind)
{
    return (unsigned)kind < TRAP_KIND_COUNT ? rows[kind].text : "unknown trap";
}
