/*
 * What objects and values of maps hold in their special fields, and how it is let go: kptrs, lists, trees, timers.
 *
 * Lists and trees are linked through the objects' own memory, in fields that programs do not touch; whoever changes one
 * holds the spin lock that stands beside its root. A node's `owner` is the root that it hangs at, 0 for none.
 */
#ifndef VM_OBJECT_H
#define VM_OBJECT_H

#include "vm/heap.h"

/* As they lie in memory, in the room of Linux's own. An empty list is all zero, or points to itself. */
struct list_node {
    struct list_node *next, *prev;
    void *owner; /* of a root: the room ends before it */
};
struct tree_node {
    struct tree_node *parent, *left, *right;
    uintptr_t owner; /* the root, and in its lowest bit whether the node is red */
};
struct tree_root {
    struct tree_node *top, *first;
};

/** A program's reference is given back: the last one frees the object, and what it holds. */
void object_drop(struct object *o);
/** Another reference to an object that has a bpf_refcount. @return false: it has none left. */
bool object_acquire(struct object *o);
/** Empties the special fields at mem, of a map's value that goes or is written anew. */
void fields_release(const struct fields *f, void *mem);

/** The node is free: links it. @return false: it hangs somewhere already. */
bool list_add(void *head, struct list_node *node, bool back);
/** The first or last node; NULL: there is none. */
struct list_node *list_end(void *head, bool back);
void list_take(void *head, struct list_node *node);

/** less(ctx, a, b): does a stand before b? Nodes of equal standing are put behind. @return false: it hangs somewhere
 *  already. */
bool tree_claim(struct tree_root *root, struct tree_node *node);
void tree_add(struct tree_root *root, struct tree_node *node,
              bool (*less)(void *, struct tree_node *, struct tree_node *), void *ctx);
static inline bool tree_has(const struct tree_root *root, const struct tree_node *node)
{
    return (node->owner & ~(uintptr_t)1) == (uintptr_t)root;
}
void tree_take(struct tree_root *root, struct tree_node *node);

#endif
