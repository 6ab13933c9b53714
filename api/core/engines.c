/* The engines that are built in, the default first. */
#include "api/core/core.h"
#include "vm/interp/interp.h"

static const struct engine *const engines[] = {&interp_engine};

const struct engine *engine_find(const char *name)
{
    if (!name)
        return engines[0];
    for (size_t i = 0; i < sizeof(engines) / sizeof(*engines); i++)
        if (!strcmp(engines[i]->name, name))
            return engines[i];
    return NULL;
}
