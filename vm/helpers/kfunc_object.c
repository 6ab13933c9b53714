/*
 * What programs allocate, share and link: objects, reference counts, lists and trees, and pointers to objects in maps.
 * An object that the run owns is among its references, so that it is dropped however the run ends; one that a list, a
 * tree or a field owns is dropped with that. What Linux's verifier fills in (the type's description, the node's offset)
 * is known from the object's own head.
 */
#include "vm/btf/btf.h"
#include "vm/helpers/field.h"
#include "vm/helpers/kfunc.h"

enum { PERCPU_MAX = 512 };

static uint64_t fresh(struct skep_env *env, uint64_t type, bool percpu)
{
    const struct prog *prog = env->code->prog;
    int64_t size = prog->btf && type < btf_count(prog->btf) ? btf_size(prog->btf, (uint32_t)type) : -1;
    const struct field *count;
    struct object *o;

    if (size < 0 || size > (percpu ? PERCPU_MAX : OBJECT_MAX))
        return 0;
    o = heap_take((uint32_t)size, percpu ? env->n_cpus : 0, percpu ? NULL : fields_of(prog->fields, (uint32_t)type),
                  (uint32_t)type);
    if (!o)
        return 0;
    count = fields_the(o->fields, FIELD_REFCOUNT);
    if (count)
        *(uint32_t *)(object_mem(o) + count->off) = 1;
    return object_hold(env, o) ? (uintptr_t)object_mem(o) : 0;
}

static uint64_t give_up(struct skep_env *env, uint64_t addr)
{
    struct object *o = field_object(env, addr, true);

    if (o) {
        object_let_go(env, o);
        object_drop(o);
    }
    return 0;
}

KFUNC_BODY(bpf_obj_new_impl)
{
    return fresh(env, a1, false);
}

KFUNC_BODY(bpf_percpu_obj_new_impl)
{
    return fresh(env, a1, true);
}

KFUNC_BODY(bpf_obj_drop_impl)
{
    return give_up(env, a1);
}

KFUNC_BODY(bpf_percpu_obj_drop_impl)
{
    return give_up(env, a1);
}

KFUNC_BODY(bpf_refcount_acquire_impl)
{
    struct object *o = field_object(env, a1, false);

    if (!o || !object_acquire(o))
        return 0;
    return object_hold(env, o) ? a1 : 0;
}

/* Lists. A node that hangs somewhere already is dropped, as Linux does. */

static uint64_t push(struct skep_env *env, uint64_t head, uint64_t node, bool back)
{
    void *root = field_root(env, head, FIELD_LIST_HEAD);
    struct object *o = root ? field_node(env, node, FIELD_LIST_NODE, true) : NULL;

    if (!o)
        return 0;
    object_let_go(env, o);
    if (list_add(root, helper_ptr(node), back))
        return 0;
    object_drop(o);
    return helper_error(-EINVAL);
}

static uint64_t pop(struct skep_env *env, uint64_t head, bool back)
{
    void *root = field_root(env, head, FIELD_LIST_HEAD);
    struct list_node *n = root ? list_end(root, back) : NULL;
    struct object *o = n ? heap_find((uintptr_t)n) : NULL;

    if (!o)
        return 0;
    list_take(root, n);
    return object_hold(env, o) ? (uintptr_t)n : 0;
}

static uint64_t peek(struct skep_env *env, uint64_t head, bool back)
{
    void *root = field_root(env, head, FIELD_LIST_HEAD);

    return root ? (uintptr_t)list_end(root, back) : 0;
}

KFUNC_BODY(bpf_list_push_front_impl)
{
    return push(env, a1, a2, false);
}

KFUNC_BODY(bpf_list_push_back_impl)
{
    return push(env, a1, a2, true);
}

KFUNC_BODY(bpf_list_pop_front)
{
    return pop(env, a1, false);
}

KFUNC_BODY(bpf_list_pop_back)
{
    return pop(env, a1, true);
}

KFUNC_BODY(bpf_list_front)
{
    return peek(env, a1, false);
}

KFUNC_BODY(bpf_list_back)
{
    return peek(env, a1, true);
}

/* Trees. */

struct order {
    struct skep_env *env;
    uint64_t less;
};

static bool before(void *ctx, struct tree_node *a, struct tree_node *b)
{
    const struct order *o = ctx;

    return !o->env->trap.kind && env_call(o->env, o->less, (uintptr_t)a, (uintptr_t)b, 0, 0, 0) & 0xff;
}

KFUNC_BODY(bpf_rbtree_add_impl)
{
    struct tree_root *root = field_root(env, a1, FIELD_RB_ROOT);
    struct object *o = root ? field_node(env, a2, FIELD_RB_NODE, true) : NULL;
    struct order order = {env, a3};

    if (!o)
        return 0;
    object_let_go(env, o);
    if (!tree_claim(root, helper_ptr(a2))) {
        object_drop(o);
        return helper_error(-EINVAL);
    }
    env->in_tree = true; /* the callback may not change what is being walked */
    tree_add(root, helper_ptr(a2), before, &order);
    env->in_tree = false;
    return 0;
}

/* A node of this very tree. */
static struct tree_node *member(struct skep_env *env, uint64_t root, uint64_t node)
{
    struct tree_root *r = field_root(env, root, FIELD_RB_ROOT);
    struct tree_node *n = helper_ptr(node);

    return r && field_node(env, node, FIELD_RB_NODE, false) && tree_has(r, n) ? n : NULL;
}

KFUNC_BODY(bpf_rbtree_remove)
{
    struct tree_node *n = member(env, a1, a2);
    struct object *o = n ? heap_find(a2) : NULL;

    if (!o)
        return 0;
    tree_take(helper_ptr(a1), n);
    return object_hold(env, o) ? a2 : 0;
}

KFUNC_BODY(bpf_rbtree_first)
{
    const struct tree_root *root = field_root(env, a1, FIELD_RB_ROOT);

    return root ? (uintptr_t)root->first : 0;
}

KFUNC_BODY(bpf_rbtree_root)
{
    const struct tree_root *root = field_root(env, a1, FIELD_RB_ROOT);

    return root ? (uintptr_t)root->top : 0;
}

KFUNC_BODY(bpf_rbtree_left)
{
    const struct tree_node *n = member(env, a1, a2);

    return n ? (uintptr_t)n->left : 0;
}

KFUNC_BODY(bpf_rbtree_right)
{
    const struct tree_node *n = member(env, a1, a2);

    return n ? (uintptr_t)n->right : 0;
}

/* Pointers in maps. What is stored belongs to the field from then on, and what stood there to the run. */
HELPER_BODY(kptr_xchg)
{
    uint64_t *at = field_kptr(env, a1), was;
    struct object *in = a2 ? heap_find(a2) : NULL, *out;

    if (!at || (in && !field_object(env, a2, true)))
        return 0;
    if (in)
        object_let_go(env, in);
    was = __atomic_exchange_n(at, a2, __ATOMIC_ACQ_REL);
    out = heap_at(was);
    return !out || object_hold(env, out) ? was : 0;
}
