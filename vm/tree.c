/*
 * Red-black trees of objects, as every textbook has them: no red node has a red child, and every way down from the top
 * passes as many black ones. Programs see the shape (bpf_rbtree_root(), _left(), _right()), so that the cases are those
 * that Linux knows. The root also remembers its first node.
 */
#include "vm/object.h"

static bool is_red(const struct tree_node *n)
{
    return n && n->owner & 1;
}

static void paint(struct tree_node *n, bool red)
{
    n->owner = (n->owner & ~(uintptr_t)1) | red;
}

/* Puts `by` where `old` hangs. */
static void hang(struct tree_root *root, struct tree_node *old, struct tree_node *by)
{
    struct tree_node *up = old->parent;

    if (!up)
        root->top = by;
    else if (up->left == old)
        up->left = by;
    else
        up->right = by;
    if (by)
        by->parent = up;
}

static void rotate(struct tree_root *root, struct tree_node *n, bool left)
{
    struct tree_node *up = left ? n->right : n->left, *inner = left ? up->left : up->right;

    hang(root, n, up);
    if (left)
        n->right = inner, up->left = n;
    else
        n->left = inner, up->right = n;
    if (inner)
        inner->parent = n;
    n->parent = up;
}

static void mend_insertion(struct tree_root *root, struct tree_node *n)
{
    while (is_red(n->parent)) {
        struct tree_node *up = n->parent, *top = up->parent;
        bool left = up == top->left;
        struct tree_node *uncle = left ? top->right : top->left;

        if (is_red(uncle)) {
            paint(up, false);
            paint(uncle, false);
            paint(top, true);
            n = top;
            continue;
        }
        if (n == (left ? up->right : up->left)) {
            rotate(root, up, left);
            n = up;
            up = n->parent;
        }
        paint(up, false);
        paint(top, true);
        rotate(root, top, !left);
    }
    paint(root->top, false);
}

bool tree_claim(struct tree_root *root, struct tree_node *node)
{
    uintptr_t free = 0;

    return __atomic_compare_exchange_n(&node->owner, &free, (uintptr_t)root, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void tree_add(struct tree_root *root, struct tree_node *node,
              bool (*less)(void *, struct tree_node *, struct tree_node *), void *ctx)
{
    struct tree_node **at = &root->top, *up = NULL;
    bool first = true;

    while (*at) {
        up = *at;
        if (less(ctx, node, up)) {
            at = &up->left;
        } else {
            at = &up->right;
            first = false;
        }
    }
    node->parent = up;
    node->left = node->right = NULL;
    paint(node, true);
    *at = node;
    if (first)
        root->first = node;
    mend_insertion(root, node);
}

/* The side of `up` where n hangs (it may be NULL) is short of a black node. */
static void mend_removal(struct tree_root *root, struct tree_node *n, struct tree_node *up)
{
    while (up && !is_red(n)) {
        bool left = up->left == n;
        struct tree_node *s = left ? up->right : up->left;

        if (is_red(s)) {
            paint(s, false);
            paint(up, true);
            rotate(root, up, left);
            s = left ? up->right : up->left;
        }
        if (!is_red(s->left) && !is_red(s->right)) {
            paint(s, true);
            n = up;
            up = n->parent;
            continue;
        }
        if (!is_red(left ? s->right : s->left)) {
            paint(left ? s->left : s->right, false);
            paint(s, true);
            rotate(root, s, !left);
            s = left ? up->right : up->left;
        }
        paint(s, is_red(up));
        paint(up, false);
        paint(left ? s->right : s->left, false);
        rotate(root, up, left);
        n = root->top;
        up = NULL;
    }
    if (n)
        paint(n, false);
}

static struct tree_node *leftmost(struct tree_node *n)
{
    while (n && n->left)
        n = n->left;
    return n;
}

static struct tree_node *after(struct tree_node *n)
{
    if (n->right)
        return leftmost(n->right);
    while (n->parent && n->parent->right == n)
        n = n->parent;
    return n->parent;
}

void tree_take(struct tree_root *root, struct tree_node *node)
{
    struct tree_node *child, *up;
    bool black;

    if (root->first == node)
        root->first = after(node);
    if (node->left && node->right) {
        struct tree_node *next = leftmost(node->right);

        /* The next one takes the node's place and colour; the hole is where that one was. */
        child = next->right;
        up = next->parent == node ? next : next->parent;
        black = !is_red(next);
        if (next->parent != node) {
            hang(root, next, child);
            next->right = node->right;
            next->right->parent = next;
        }
        hang(root, node, next);
        next->left = node->left;
        next->left->parent = next;
        paint(next, is_red(node));
    } else {
        child = node->left ? node->left : node->right;
        up = node->parent;
        black = !is_red(node);
        hang(root, node, child);
    }
    if (black)
        mend_removal(root, child, up);
    node->parent = node->left = node->right = NULL;
    __atomic_store_n(&node->owner, 0, __ATOMIC_RELEASE);
}
