/* Objects of programs below everything that programs see: the heap, trees, lists, and what goes when its last holder
 * lets go. */
#include "vm/epoch.h"
#include "vm/object.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 200 };

/* A struct { long key; struct bpf_rb_node node; struct bpf_list_node link; struct bpf_refcount refs; kptr next; }. */
struct leaf {
    long key;
    struct tree_node node;
    struct list_node link;
    uint32_t refs, pad;
    uint64_t next;
};

static struct fields leaf_fields = {
    .n = 4,
    .kinds = FIELD_BIT(RB_NODE) | FIELD_BIT(LIST_NODE) | FIELD_BIT(REFCOUNT) | FIELD_BIT(KPTR),
    .at = {{.kind = FIELD_RB_NODE, .off = offsetof(struct leaf, node), .size = sizeof(struct tree_node)},
           {.kind = FIELD_LIST_NODE, .off = offsetof(struct leaf, link), .size = sizeof(struct list_node)},
           {.kind = FIELD_REFCOUNT, .off = offsetof(struct leaf, refs), .size = 4},
           {.kind = FIELD_KPTR, .off = offsetof(struct leaf, next), .size = 8}},
};

/* A value that owns a tree and a list of them. */
struct roots {
    struct tree_root tree;
    uint64_t list[2];
};

static const struct fields root_fields = {
    .n = 2,
    .kinds = FIELD_BIT(RB_ROOT) | FIELD_BIT(LIST_HEAD),
    .at =
        {{.kind = FIELD_RB_ROOT, .off = 0, .size = 16, .node_off = offsetof(struct leaf, node), .of = &leaf_fields},
         {.kind = FIELD_LIST_HEAD, .off = 16, .size = 16, .node_off = offsetof(struct leaf, link), .of = &leaf_fields}},
};

/* The table that the fields are of is counted with each object; here it is an empty BTF's. */
#include "vm/btf/btf.h"

static struct object *made(long key)
{
    struct object *o = heap_take(sizeof(struct leaf), 0, &leaf_fields, 0);
    struct leaf *l = o ? (struct leaf *)object_mem(o) : NULL;

    assert_non_null(l);
    l->key = key;
    l->refs = 1;
    return o;
}

static struct leaf *leaf_of(struct object *o)
{
    return (struct leaf *)object_mem(o);
}

static struct leaf *of_node(struct tree_node *n)
{
    return (struct leaf *)((char *)n - offsetof(struct leaf, node));
}

static bool less(void *ctx, struct tree_node *a, struct tree_node *b)
{
    (void)ctx;
    return of_node(a)->key < of_node(b)->key;
}

/* Black nodes on the way down; fails where a rule is broken. */
static unsigned check(struct tree_root *root, struct tree_node *n, struct tree_node *up)
{
    unsigned l, r;

    if (!n)
        return 1;
    assert_ptr_equal(n->parent, up);
    assert_true(tree_has(root, n));
    assert_false(up && up->owner & 1 && n->owner & 1);
    assert_false(n->left && of_node(n->left)->key > of_node(n)->key);
    assert_false(n->right && of_node(n->right)->key < of_node(n)->key);
    l = check(root, n->left, n);
    r = check(root, n->right, n);
    assert_int_equal(l, r);
    return l + !(n->owner & 1);
}

static void check_tree(struct tree_root *root)
{
    struct tree_node *first = root->top;

    while (first && first->left)
        first = first->left;
    assert_ptr_equal(root->first, first);
    assert_false(root->top && root->top->owner & 1);
    check(root, root->top, NULL);
}

static void trees_keep_their_rules(void **state)
{
    struct object *o[NODES];
    struct tree_root root = {0};
    uint64_t before = heap_count();

    (void)state;
    srand(7);
    for (unsigned i = 0; i < NODES; i++) {
        o[i] = made(rand() % 50);
        assert_true(tree_claim(&root, &leaf_of(o[i])->node));
        assert_false(tree_claim(&root, &leaf_of(o[i])->node));
        tree_add(&root, &leaf_of(o[i])->node, less, NULL);
        check_tree(&root);
    }
    for (unsigned i = 0; i < NODES; i++) {
        unsigned k = i + (unsigned)rand() % (NODES - i);
        struct object *out = o[k];

        o[k] = o[i];
        tree_take(&root, &leaf_of(out)->node);
        assert_false(tree_has(&root, &leaf_of(out)->node));
        check_tree(&root);
        object_drop(out);
    }
    assert_null(root.top);
    assert_int_equal(heap_count(), before);
}

static void lists_keep_their_order(void **state)
{
    uint64_t head[2] = {0};
    struct object *o[4];

    (void)state;
    assert_null(list_end(head, false));
    for (unsigned i = 0; i < 4; i++) {
        o[i] = made(i);
        assert_true(list_add(head, &leaf_of(o[i])->link, i % 2));
        assert_false(list_add(head, &leaf_of(o[i])->link, false));
    }
    assert_ptr_equal(list_end(head, false), &leaf_of(o[2])->link); /* 2 0 1 3 */
    assert_ptr_equal(list_end(head, true), &leaf_of(o[3])->link);
    for (unsigned i = 0; i < 4; i++) {
        list_take(head, &leaf_of(o[i])->link);
        object_drop(o[i]);
    }
    assert_null(list_end(head, true));
}

static void what_is_shared_goes_with_its_last_holder(void **state)
{
    struct object *o = made(1);
    uint64_t before = heap_count();

    (void)state;
    assert_true(object_acquire(o));
    object_drop(o);
    assert_int_equal(heap_count(), before);
    object_drop(o);
    assert_int_equal(heap_count(), before - 1);
    assert_false(object_acquire(o)); /* still readable under an epoch, and gone */
}

/* A value that goes takes along what hangs at it, however long the chain behind. */
static void values_take_along_what_they_own(void **state)
{
    enum { CHAIN = 200000 };
    uint64_t before = heap_count(), next = 0;
    struct roots roots = {0};
    struct object *o = NULL;

    (void)state;
    for (unsigned i = 0; i < CHAIN; i++) {
        o = made(i);
        leaf_of(o)->next = next;
        next = (uintptr_t)object_mem(o);
    }
    assert_true(object_acquire(o));
    assert_true(list_add(roots.list, &leaf_of(o)->link, false));
    assert_true(tree_claim(&roots.tree, &leaf_of(o)->node));
    tree_add(&roots.tree, &leaf_of(o)->node, less, NULL);
    assert_int_equal(heap_count(), before + CHAIN);
    fields_release(&root_fields, &roots);
    assert_int_equal(heap_count(), before);
    assert_null(roots.tree.top);
    epoch_drain();
}

static void addresses_name_objects(void **state)
{
    struct object *o = heap_take(100, 0, NULL, 0), *each = heap_take(12, 3, NULL, 0),
                  *big = heap_take(512, 8000, NULL, 0);
    uint64_t at = (uintptr_t)object_mem(o);

    (void)state;
    assert_ptr_equal(heap_at(at), o);
    assert_null(heap_at(at + 8));
    assert_ptr_equal(heap_find(at + 99), o);
    assert_null(heap_find(at + 104));
    assert_null(heap_find(at - 1));
    assert_null(heap_find((uintptr_t)&at));
    assert_null(heap_find(0));
    assert_ptr_equal(heap_find((uintptr_t)object_mem(each) + 47), each);
    assert_ptr_equal(heap_find((uintptr_t)object_mem(big) + 512 * 8000 - 1), big);
    heap_give(o);
    heap_give(each);
    heap_give(big);
    epoch_drain();
    assert_null(heap_find(at));
}

static int make_table(void **state)
{
    static const uint32_t empty[] = {0x1eb9f | 1 << 16, 24, 0, 0, 0, 1, 0};
    struct btf *btf;

    if (btf_parse(empty, 25, NULL, false, NULL, &btf) || field_table_read(btf, NULL, &leaf_fields.table))
        return -1;
    *state = btf;
    return 0;
}

static int drop_table(void **state)
{
    epoch_drain();
    field_table_put(leaf_fields.table);
    btf_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_keep_their_rules),
        cmocka_unit_test(lists_keep_their_order),
        cmocka_unit_test(what_is_shared_goes_with_its_last_holder),
        cmocka_unit_test(values_take_along_what_they_own),
        cmocka_unit_test(addresses_name_objects),
    };

    return cmocka_run_group_tests(tests, make_table, drop_table);
}
