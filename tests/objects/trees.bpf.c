/* Trees of objects, and objects that several own: names as in lists.bpf.c. */
#include "objects.h"

struct leaf {
    long key, value;
    struct bpf_rb_node node;
    struct bpf_refcount refs;
    struct bpf_list_node link;
};

private(A) struct bpf_spin_lock lock;
private(A) struct bpf_rb_root root contains(leaf, node);
private(A) struct bpf_list_head list contains(leaf, link);

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
    return container(a, struct leaf, node)->key < container(b, struct leaf, node)->key;
}

static int insert(long key)
{
    struct leaf *l = new (struct leaf);

    if (!l)
        return -1;
    l->key = key;
    bpf_spin_lock(&lock);
    tree_add(&root, &l->node, less);
    bpf_spin_unlock(&lock);
    return 0;
}

static long take_first(void)
{
    struct bpf_rb_node *n;
    long key;

    bpf_spin_lock(&lock);
    n = bpf_rbtree_first(&root);
    if (!n) {
        bpf_spin_unlock(&lock);
        return -1;
    }
    n = bpf_rbtree_remove(&root, n);
    bpf_spin_unlock(&lock);
    if (!n)
        return -2;
    key = container(n, struct leaf, node)->key;
    drop(container(n, struct leaf, node));
    return key;
}

SEC("tc")
int ok_order_is_12345(struct __sk_buff *skb)
{
    static const char keys[] = {4, 2, 5, 1, 3};
    int out = 0;

    for (int i = 0; i < 5; i++)
        if (insert(keys[i]))
            return -1;
    for (int i = 0; i < 5; i++)
        out = out * 10 + take_first();
    return take_first() == -1 ? out : -2;
}

/* The shape, as deep as two: top, left, right. */
SEC("tc")
int ok_shape_is_213(struct __sk_buff *skb)
{
    struct bpf_rb_node *top, *n;
    int out = 0;

    for (int i = 1; i <= 3; i++)
        if (insert(i))
            return -1;
    bpf_spin_lock(&lock);
    top = bpf_rbtree_root(&root);
    if (top) {
        out = container(top, struct leaf, node)->key * 100;
        n = bpf_rbtree_left(&root, top);
        if (n)
            out += container(n, struct leaf, node)->key * 10;
        n = bpf_rbtree_right(&root, top);
        if (n)
            out += container(n, struct leaf, node)->key;
    }
    bpf_spin_unlock(&lock);
    for (int i = 0; i < 3; i++)
        take_first();
    return out;
}

/* One object, in the tree and in the list. */
SEC("tc")
int ok_shared_is_88(struct __sk_buff *skb)
{
    struct leaf *l = new (struct leaf), *m;
    struct bpf_list_node *n;
    int out;

    if (!l)
        return -1;
    l->key = 8;
    m = share(l);
    bpf_spin_lock(&lock);
    tree_add(&root, &l->node, less);
    push_back(&list, &m->link);
    bpf_spin_unlock(&lock);
    out = take_first() * 10;
    bpf_spin_lock(&lock);
    n = bpf_list_pop_front(&list);
    bpf_spin_unlock(&lock);
    if (!n)
        return -2;
    out += container(n, struct leaf, link)->key;
    drop(container(n, struct leaf, link));
    return out;
}

/* The second time it hangs there already: the reference is dropped, and -EINVAL says so. */
SEC("tc")
int ok_twice_is_22(struct __sk_buff *skb)
{
    struct leaf *l = new (struct leaf), *m;
    int err;

    if (!l)
        return -1;
    l->key = 1;
    m = share(l);
    bpf_spin_lock(&lock);
    tree_add(&root, &l->node, less);
    err = tree_add(&root, &m->node, less);
    bpf_spin_unlock(&lock);
    take_first();
    return -err;
}

static _Bool takes_lock(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
    bpf_spin_unlock(&lock);
    bpf_spin_lock(&lock);
    return 0;
}

SEC("tc")
int lock_misused__in_less(struct __sk_buff *skb)
{
    struct leaf *l = new (struct leaf);

    if (!l)
        return 0;
    bpf_spin_lock(&lock);
    tree_add(&root, &l->node, takes_lock);
    bpf_spin_unlock(&lock);
    return 0;
}

SEC("tc")
int lock_missing__first(struct __sk_buff *skb)
{
    return bpf_rbtree_first(&root) != 0;
}

SEC("tc")
int null_check_missing__remove(struct __sk_buff *skb)
{
    struct bpf_rb_node *n;

    bpf_spin_lock(&lock);
    n = bpf_rbtree_remove(&root, bpf_rbtree_first(&root));
    bpf_spin_unlock(&lock);
    if (n)
        drop(container(n, struct leaf, node));
    return 0;
}

SEC("tc")
int helper_argument__borrowed(struct __sk_buff *skb)
{
    struct bpf_rb_node *n;

    bpf_spin_lock(&lock);
    n = bpf_rbtree_first(&root);
    if (n)
        tree_add(&root, n, less);
    bpf_spin_unlock(&lock);
    return 0;
}
