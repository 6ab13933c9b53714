/*
 * Objects and special fields let go: see object.h. Objects hang at one another as deep as programs like, so that what
 * is to be freed waits in a list instead of the host's stack.
 */
#include "vm/object.h"
#include "vm/maps/mem.h"
#include "vm/timer.h"

static void empty(const struct fields *f, void *mem, struct object **dying);

static uint32_t *refcount_of(struct object *o)
{
    const struct field *f = fields_the(o->fields, FIELD_REFCOUNT);

    return f ? (uint32_t *)(object_mem(o) + f->off) : NULL;
}

bool object_acquire(struct object *o)
{
    uint32_t *count = refcount_of(o), n = count ? __atomic_load_n(count, __ATOMIC_RELAXED) : 0;

    while (n)
        if (__atomic_compare_exchange_n(count, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            return true;
    return false;
}

/* A reference less; an object without any waits in the list. */
static void unreference(struct object *o, struct object **dying)
{
    uint32_t *count = refcount_of(o);

    if (count && __atomic_sub_fetch(count, 1, __ATOMIC_ACQ_REL))
        return;
    o->next = *dying;
    *dying = o;
}

static void free_all(struct object *dying)
{
    while (dying) {
        struct object *o = dying;

        dying = o->next;
        if (o->fields)
            empty(o->fields, object_mem(o), &dying);
        heap_give(o);
    }
}

void object_drop(struct object *o)
{
    struct object *dying = NULL;

    unreference(o, &dying);
    free_all(dying);
}

static void drop_kptr(void *at, struct object **dying)
{
    struct object *o = heap_at(__atomic_exchange_n((uint64_t *)at, 0, __ATOMIC_ACQ_REL));

    if (o) /* objects of the kernel belong to the world */
        unreference(o, dying);
}

static void drop_node(const struct field *f, void *node, struct object **dying)
{
    struct object *o = heap_at((uintptr_t)node - f->node_off);

    if (o)
        unreference(o, dying);
}

static void empty(const struct fields *f, void *mem, struct object **dying)
{
    for (uint32_t i = 0; i < f->n; i++) {
        const struct field *at = &f->at[i];
        unsigned char *p = (unsigned char *)mem + at->off;
        struct tree_root *root = (struct tree_root *)p;
        struct list_node *n;

        switch ((enum field_kind)at->kind) {
        case FIELD_TIMER:
        case FIELD_WQ:
        case FIELD_TASK_WORK: timer_forget(p); break;
        case FIELD_KPTR:
        case FIELD_KPTR_PERCPU: drop_kptr(p, dying); break;
        case FIELD_KPTR_UNTRUSTED:
        case FIELD_UPTR: __atomic_store_n((uint64_t *)p, 0, __ATOMIC_RELAXED); break;
        case FIELD_LIST_HEAD:
            while ((n = list_end(p, false))) {
                list_take(p, n);
                drop_node(at, n, dying);
            }
            break;
        case FIELD_RB_ROOT:
            while (root->first) {
                struct tree_node *first = root->first;

                tree_take(root, first);
                drop_node(at, first, dying);
            }
            break;
        default: break;
        }
    }
}

/* Lists and trees of a value are emptied under its lock, as Linux does: programs may be at them. */
void fields_release(const struct fields *f, void *mem)
{
    struct object *dying = NULL;
    const struct field *lock = fields_the(f, FIELD_SPIN_LOCK);
    void *word = lock && f->kinds & FIELD_ROOTS ? (unsigned char *)mem + lock->off : NULL;

    if (word)
        map_spin_lock(word);
    empty(f, mem, &dying);
    if (word)
        map_spin_unlock(word);
    free_all(dying);
}

static struct list_node *started(void *head)
{
    struct list_node *h = head;

    if (!h->next)
        h->next = h->prev = h;
    return h;
}

bool list_add(void *head, struct list_node *node, bool back)
{
    struct list_node *h = started(head), *prev = back ? h->prev : h, *next = back ? h : h->next;
    void *free = NULL;

    if (!__atomic_compare_exchange_n(&node->owner, &free, head, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        return false;
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
    return true;
}

struct list_node *list_end(void *head, bool back)
{
    struct list_node *h = started(head), *n = back ? h->prev : h->next;

    return n == h ? NULL : n;
}

void list_take(void *head, struct list_node *node)
{
    (void)head;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = NULL;
    __atomic_store_n(&node->owner, NULL, __ATOMIC_RELEASE);
}
