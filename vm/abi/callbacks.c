/* callbacks.def as one record a helper, found by number. */
#include "vm/abi/callbacks.h"

#include "vm/abi/kfuncs.h"

#include <stddef.h>
#include <string.h>

enum {
#define HELPER(id, name, state, ret, args, effects) ID_##name = id,
#include "vm/abi/helpers.def"
    ID_END
};

#define SYNC     CALLBACK_SYNC
#define LATER    CALLBACK_LATER
#define SLEEPS   CALLBACK_SLEEPS
#define BOUND(n) ((n) << CALLBACK_BOUND_SHIFT)
#define G(what)  GETS_##what
#define GETS_1(a)                                                                                                      \
    {                                                                                                                  \
        G(a)                                                                                                           \
    }
#define GETS_2(a, b)                                                                                                   \
    {                                                                                                                  \
        G(a), G(b)                                                                                                     \
    }
#define GETS_3(a, b, c)                                                                                                \
    {                                                                                                                  \
        G(a), G(b), G(c)                                                                                               \
    }
#define GETS_4(a, b, c, d)                                                                                             \
    {                                                                                                                  \
        G(a), G(b), G(c), G(d)                                                                                         \
    }
#define PICK(a, b, c, d, name, ...) name
#define GETS(...)                   PICK(__VA_ARGS__, GETS_4, GETS_3, GETS_2, GETS_1, )(__VA_ARGS__)

static const struct callback rows[ID_END] = {
#define CALLBACK(name, when, gets) [ID_##name] = {when, gets},
#define KCALLBACK(name, when, gets)
#include "vm/abi/callbacks.def"
};

/* By name, without "bpf_". */
static const struct {
    const char *name;
    struct callback cb;
} kernel[] = {
#define CALLBACK(name, when, gets)
#define KCALLBACK(name, when, gets) {&#name[4], {when, gets}},
#include "vm/abi/callbacks.def"
};

const struct callback *callback_find(const struct helper *helper)
{
    for (unsigned i = 0; helper->id >= KFUNC_FIRST_ID && i < sizeof(kernel) / sizeof(kernel[0]); i++)
        if (!strcmp(kernel[i].name, helper->name))
            return &kernel[i].cb;
    if (helper->id >= ID_END || helper != helper_find(helper->id) || !rows[helper->id].when)
        return NULL;
    return &rows[helper->id];
}
