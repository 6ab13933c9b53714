/* callbacks.def as one record a helper, found by number. */
#include "vm/abi/callbacks.h"

#include <stddef.h>

enum {
#define HELPER(id, name, state, ret, args, effects) ID_##name = id,
#include "vm/abi/helpers.def"
    ID_END
};

#define SYNC     CALLBACK_SYNC
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
#include "vm/abi/callbacks.def"
};

const struct callback *callback_find(const struct helper *helper)
{
    if (helper->id >= ID_END || helper != helper_find(helper->id) || !rows[helper->id].when)
        return NULL;
    return &rows[helper->id];
}
