/* The engines that are built in, by name. */
#include "api/core/core.h"
#include "vm/interp/interp.h"

static const struct engine *const engines[] = {&jit_engine, &interp_engine};

const struct engine *engine_find(const char *name)
{
    for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++)
        if (!strcmp(engines[i]->name, name))
            return engines[i];
    return NULL;
}
