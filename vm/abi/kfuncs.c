/*
 * The table of kernel functions. What a row says of arguments and result is put together twice, by prefix: K_ as the
 * verifier sees it, H_ as a helper's.
 */
#include "vm/abi/kfuncs.h"
#include "vm/abi/kfunc_bodies.h"
#include "vm/abi/prog_types.h"

#include <stddef.h>
#include <string.h>

/* Who may call: Linux registers functions by these sets. */
#define T(type) ((uint64_t)1 << PROG_TYPE_##type)
#define ALL     UINT64_MAX
#define TRACERS (T(TRACING) | T(TRACEPOINT) | T(PERF_EVENT) | T(LSM))
#define CGROUPS                                                                                                        \
    (T(CGROUP_SKB) | T(CGROUP_SOCK) | T(CGROUP_DEVICE) | T(CGROUP_SOCK_ADDR) | T(CGROUP_SOCKOPT) | T(CGROUP_SYSCTL) |  \
     T(SOCK_OPS))
#define GENERIC (TRACERS | T(SCHED_CLS) | T(XDP) | T(STRUCT_OPS) | T(SYSCALL) | CGROUPS)
#define MASKS   (TRACERS | T(STRUCT_OPS) | T(SYSCALL))
#define XDP     T(XDP)
#define SKBS                                                                                                           \
    (T(SOCKET_FILTER) | T(SCHED_CLS) | T(SCHED_ACT) | CGROUPS | T(SK_SKB) | T(LWT_IN) | T(LWT_OUT) | T(LWT_XMIT) |     \
     T(LWT_SEG6LOCAL) | T(NETFILTER))
#define SCHED_CLS        T(SCHED_CLS)
#define CGROUP_SOCK_ADDR CGROUPS
#define STRUCT_OPS       T(STRUCT_OPS)

#define ACQUIRE       KFUNC_ACQUIRE
#define RELEASE       KFUNC_RELEASE
#define RET_NULL      KFUNC_RET_NULL
#define TRUSTED       KFUNC_TRUSTED
#define RCU           KFUNC_RCU
#define SLEEPS        KFUNC_SLEEPS
#define DESTRUCTIVE   KFUNC_DESTRUCTIVE
#define RCU_PROTECTED KFUNC_RCU_PROTECTED
#define HELD          KFUNC_HELD
#define UNDER_LOCK    KFUNC_UNDER_LOCK
#define CALLS_BACK    KFUNC_CALLS_BACK
#define SPECIAL(what) (KFUNC_##what << 16)

#define BODY(name)    kfunc_##name
#define MISSING(name) NULL

#define K_NONE                                                                                                         \
    {                                                                                                                  \
        KARG_NONE, 0, NULL                                                                                             \
    }
#define K_NUM                                                                                                          \
    {                                                                                                                  \
        KARG_NUM, 0, NULL                                                                                              \
    }
#define K_CONST                                                                                                        \
    {                                                                                                                  \
        KARG_CONST, 0, NULL                                                                                            \
    }
#define K_PTR(type)                                                                                                    \
    {                                                                                                                  \
        KARG_PTR, 0, #type                                                                                             \
    }
#define K_PTR_OR_NULL(type)                                                                                            \
    {                                                                                                                  \
        KARG_PTR_OR_NULL, 0, #type                                                                                     \
    }
#define K_MEM                                                                                                          \
    {                                                                                                                  \
        KARG_MEM, 0, NULL                                                                                              \
    }
#define K_MEM_OR_NULL                                                                                                  \
    {                                                                                                                  \
        KARG_MEM_OR_NULL, 0, NULL                                                                                      \
    }
#define K_MEM_OUT(bytes)                                                                                               \
    {                                                                                                                  \
        KARG_MEM_OUT, bytes, NULL                                                                                      \
    }
#define K_SIZE                                                                                                         \
    {                                                                                                                  \
        KARG_SIZE, 0, NULL                                                                                             \
    }
#define K_CTX                                                                                                          \
    {                                                                                                                  \
        KARG_CTX, 0, NULL                                                                                              \
    }
#define K_ANY                                                                                                          \
    {                                                                                                                  \
        KARG_ANY, 0, NULL                                                                                              \
    }
#define K_LOCAL                                                                                                        \
    {                                                                                                                  \
        KARG_LOCAL, 0, NULL                                                                                            \
    }
#define K_MAP                                                                                                          \
    {                                                                                                                  \
        KARG_MAP, 0, NULL                                                                                              \
    }
#define K_UNUSED                                                                                                       \
    {                                                                                                                  \
        KARG_UNUSED, 0, NULL                                                                                           \
    }

#define K_DYNPTR                                                                                                       \
    {                                                                                                                  \
        KARG_DYNPTR, 0, NULL                                                                                           \
    }
#define K_DYNPTR_NEW                                                                                                   \
    {                                                                                                                  \
        KARG_DYNPTR_NEW, 0, NULL                                                                                       \
    }
#define K_CONST_SIZE                                                                                                   \
    {                                                                                                                  \
        KARG_CONST_SIZE, 0, NULL                                                                                       \
    }
#define K_ITER(name)                                                                                                   \
    {                                                                                                                  \
        KARG_ITER, 0, #name                                                                                            \
    }
#define K_LOCAL_PERCPU                                                                                                 \
    {                                                                                                                  \
        KARG_LOCAL_PERCPU, 0, NULL                                                                                     \
    }
#define K_COUNTED                                                                                                      \
    {                                                                                                                  \
        KARG_COUNTED, 0, NULL                                                                                          \
    }
#define K_LIST_HEAD                                                                                                    \
    {                                                                                                                  \
        KARG_LIST_HEAD, 0, NULL                                                                                        \
    }
#define K_LIST_NODE                                                                                                    \
    {                                                                                                                  \
        KARG_LIST_NODE, 0, NULL                                                                                        \
    }
#define K_RB_ROOT                                                                                                      \
    {                                                                                                                  \
        KARG_RB_ROOT, 0, NULL                                                                                          \
    }
#define K_RB_NODE                                                                                                      \
    {                                                                                                                  \
        KARG_RB_NODE, 0, NULL                                                                                          \
    }
#define K_RB_NODE_NEW                                                                                                  \
    {                                                                                                                  \
        KARG_RB_NODE_NEW, 0, NULL                                                                                      \
    }
#define K_WQ                                                                                                           \
    {                                                                                                                  \
        KARG_WQ, 0, NULL                                                                                               \
    }
#define K_FUNC                                                                                                         \
    {                                                                                                                  \
        KARG_FUNC, 0, NULL                                                                                             \
    }

#define H_NONE              ARG_NONE
#define H_NUM               ARG_ANYTHING
#define H_CONST             ARG_ANYTHING
#define H_PTR(type)         ARG_BTF_ID
#define H_PTR_OR_NULL(type) ARG_BTF_ID
#define H_MEM               ARG_MEM_RDWR
#define H_MEM_OR_NULL       ARG_MEM_RDWR_OR_NULL
#define H_MEM_OUT(bytes)    ARG_OUT_##bytes
#define H_SIZE              ARG_SIZE_OR_ZERO
#define H_CTX               ARG_CTX
#define H_ANY               ARG_ANYTHING
#define H_LOCAL             ARG_BTF_ID
#define H_MAP               ARG_MAP
#define H_UNUSED            ARG_ANYTHING
#define H_DYNPTR            ARG_DYNPTR
#define H_DYNPTR_NEW        ARG_DYNPTR_NEW
#define H_CONST_SIZE        ARG_SIZE_OR_ZERO
#define H_ITER(name)        ARG_ITER_##name
#define ARG_ITER_num        ARG_LONG_PTR
#define ARG_ITER_task_vma   ARG_LONG_PTR
#define ARG_ITER_css_task   ARG_LONG_PTR
#define ARG_ITER_irq        ARG_LONG_PTR
#define ARG_ITER_bits       ARG_TWO_LONGS
#define ARG_ITER_task       ARG_THREE_LONGS
#define ARG_ITER_css        ARG_THREE_LONGS
#define H_LOCAL_PERCPU      ARG_BTF_ID
#define H_COUNTED           ARG_BTF_ID
#define H_LIST_HEAD         ARG_BTF_ID
#define H_LIST_NODE         ARG_BTF_ID
#define H_RB_ROOT           ARG_BTF_ID
#define H_RB_NODE           ARG_BTF_ID
#define H_RB_NODE_NEW       ARG_BTF_ID
#define H_WQ                ARG_BTF_ID
#define H_FUNC              ARG_FUNC
#define ARG_OUT_2           ARG_SHORT_PTR
#define ARG_OUT_4           ARG_INT_PTR
#define ARG_OUT_8           ARG_LONG_PTR

/* clang-format off */
#define FIVE(m, ...)                m(__VA_ARGS__, NONE, NONE, NONE, NONE, NONE)
#define K_ARGS(...)                 FIVE(K_FIVE, __VA_ARGS__)
#define K_FIVE(a, b, c, d, e, ...)  {K_##a, K_##b, K_##c, K_##d, K_##e}
#define H_ARGS(...)                 FIVE(H_FIVE, __VA_ARGS__)
#define H_FIVE(a, b, c, d, e, ...)  {H_##a, H_##b, H_##c, H_##d, H_##e}

#define R_VOID       .ret = KRET_VOID
#define R_INT        .ret = KRET_INT
#define R_PTR(type)  .ret = KRET_PTR, .ret_type = #type
#define R_LOCAL      .ret = KRET_LOCAL
#define R_SLICE     .ret = KRET_SLICE
#define R_MEM(bytes) .ret = KRET_MEM, .ret_size = bytes
#define R_NODE       .ret = KRET_NODE
#define HR_VOID      RET_VOID
#define HR_INT       RET_INT
#define HR_PTR(type) RET_BTF_ID
#define HR_LOCAL     RET_BTF_ID
#define HR_SLICE     RET_BTF_ID
#define HR_MEM(bytes) RET_BTF_ID
#define HR_NODE      RET_BTF_ID
/* clang-format on */

enum {
#define KFUNC(name, state, returns, takes, does, who) ROW_##name,
#include "vm/abi/kfuncs.def"
    ROWS
};

/* Helpers are named without their prefix. */
static const struct kfunc table[ROWS] = {
#define KFUNC(called, state, returns, takes, does, who)                                                                \
    [ROW_##called] = {.name = #called,                                                                                 \
                      .call = {.id = KFUNC_FIRST_ID + ROW_##called,                                                    \
                               .name = &#called[4],                                                                    \
                               .body = state(called),                                                                  \
                               .ret = HR_##returns,                                                                    \
                               .arg = H_##takes,                                                                       \
                               .effects = ((does)&KFUNC_UNDER_LOCK ? EFFECT_UNDER_LOCK : 0) |                          \
                                          ((does)&KFUNC_CALLS_BACK ? EFFECT_CALLS_BACK : 0)},                          \
                      .arg = K_##takes,                                                                                \
                      R_##returns,                                                                                     \
                      .special = (does) >> 16,                                                                         \
                      .flags = (does)&0xffff,                                                                          \
                      .users = who},
#include "vm/abi/kfuncs.def"
};

#define ITER_TYPE(name, bytes)                                                                                         \
    {                                                                                                                  \
#name, "struct bpf_iter_" #name, bytes                                                                         \
    }
static const struct iter_type iters[] = {ITER_TYPE(num, 8),
                                         ITER_TYPE(task, 24),
                                         ITER_TYPE(task_vma, 8),
                                         ITER_TYPE(css_task, 8),
                                         ITER_TYPE(css, 24),
                                         ITER_TYPE(bits, 16),
                                         {"irq", "flag of bpf_local_irq_save()", 8}};

const struct iter_type *iter_type_find(const char *name)
{
    for (unsigned i = 0; i < sizeof(iters) / sizeof(iters[0]); i++)
        if (!strcmp(iters[i].name, name))
            return &iters[i];
    return NULL;
}

const struct kfunc *kfunc_find(const char *name)
{
    for (uint32_t i = 0; i < ROWS; i++)
        if (!strcmp(table[i].name, name))
            return &table[i];
    return NULL;
}
