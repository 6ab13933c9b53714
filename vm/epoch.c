/*
 * `clock` only grows. A thread that is inside a section shows in its slot the clock's value at entry; outside it shows
 * 0. What is unlinked gets a stamp: the clock's value after one more tick, so that a section which shows the stamp or
 * more began after the unlinking and cannot see the object. An object may go once no slot shows less than its stamp.
 *
 * A section must be visible to others before it reads shared pointers. Where Linux's membarrier(2) is to be had,
 * whoever frees pays for that with a barrier on all threads, and entering is two plain stores; elsewhere entering has a
 * fence.
 *
 * A slot belongs to one thread while `owned` is set; `nest` and `held` are that thread's alone. Slots are linked once
 * and stay, so that the list is walked without locks; a new thread takes over the slot of one that ended. The
 * thread-local pointer is a cache of the thread's slot and carries no state of a run.
 *
 * Retired objects stand in one list in the order of their stamps, under `mutex`. fn runs without it.
 */
#include "vm/epoch.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TSAN 1
#endif
#endif
#ifndef TSAN
#define TSAN 0
#endif

enum {
    MANY = 64 /* objects retired inside sections before a look at the slots is worth its price */,
    SPARE_NODES = 64
};

struct epoch_slot {
    uint64_t active; /* atomic */
    uint32_t owned;  /* atomic */
    uint32_t nest;   /* sections entered and not left */
    uint32_t held;   /* objects retired inside sections since the last look */
    bool freeing;    /* this thread is in reclaim() */
    bool again;      /* what it freed retired more */
    struct epoch_slot *next;
} __attribute__((aligned(64)));

struct node {
    struct node *next;
    void *p;
    void (*fn)(void *p);
    uint64_t stamp;
    bool spare;
};

static uint64_t epoch_clock = 1; /* atomic */
static uint64_t seen;            /* atomic: stamps up to this have passed */
static struct epoch_slot *slots; /* atomic */
static bool cheap_entry;         /* atomic: membarrier is there */
static _Thread_local struct epoch_slot *mine __attribute__((tls_model("initial-exec")));

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct node *head, **tail = &head;
static uint64_t running; /* threads that run fns of detached nodes */
static struct node spares[SPARE_NODES];
static uint64_t spares_used; /* bit i: spares[i] is in the list */

static void leave_thread(void *p)
{
    struct epoch_slot *slot = p;

    slot->nest = 0;
    __atomic_store_n(&slot->active, 0, __ATOMIC_RELEASE);
    mine = NULL;
    __atomic_store_n(&slot->owned, 0, __ATOMIC_RELEASE);
}

static void before_fork(void)
{
    pthread_mutex_lock(&mutex);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&mutex);
}

/* The other threads do not exist in the child: their sections will never end, and what they were freeing stays. */
static void in_child(void)
{
    for (struct epoch_slot *s = slots; s; s = s->next)
        if (s != mine)
            s->active = s->nest = s->owned = 0;
    running = 0;
    pthread_mutex_unlock(&mutex);
}

static bool join_membarrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

static void start(void)
{
    have_key = pthread_key_create(&key, leave_thread) == 0;
    pthread_atfork(before_fork, after_fork, in_child);
    __atomic_store_n(&cheap_entry, !TSAN && join_membarrier(), __ATOMIC_RELEASE);
}

/* After dlclose() nothing may call back into code that is gone. */
__attribute__((destructor)) static void stop(void)
{
    if (have_key)
        pthread_key_delete(key);
    have_key = false;
}

static struct epoch_slot *take_slot(void)
{
    struct epoch_slot *s;
    uint32_t none = 0;

    for (s = __atomic_load_n(&slots, __ATOMIC_ACQUIRE); s; s = s->next, none = 0)
        if (__atomic_compare_exchange_n(&s->owned, &none, 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return s;
    s = aligned_alloc(_Alignof(struct epoch_slot), sizeof(*s));
    if (!s)
        return NULL;
    *s = (struct epoch_slot){.owned = 1};
    s->next = __atomic_load_n(&slots, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&slots, &s->next, s, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return s;
}

/* The thread's first entry. */
static __attribute__((noinline)) struct epoch_slot *join(void)
{
    struct epoch_slot *s;

    pthread_once(&once, start);
    if (!have_key)
        return NULL;
    s = take_slot();
    if (!s)
        return NULL;
    if (pthread_setspecific(key, s)) {
        __atomic_store_n(&s->owned, 0, __ATOMIC_RELEASE);
        return NULL;
    }
    s->nest = s->held = 0;
    s->freeing = false;
    return mine = s;
}

struct epoch_slot *epoch_enter(void)
{
    struct epoch_slot *s = mine;
    uint64_t now;

    if (__builtin_expect(!s, 0) && !(s = join()))
        return NULL;
    if (s->nest++)
        return s;
    now = __atomic_load_n(&epoch_clock, __ATOMIC_ACQUIRE);
#if TSAN
    __atomic_exchange_n(&s->active, now, __ATOMIC_SEQ_CST); /* it knows no fences */
#else
    __atomic_store_n(&s->active, now, __ATOMIC_RELEASE);
    if (__atomic_load_n(&cheap_entry, __ATOMIC_RELAXED))
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    else
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
    return s;
}

/* Makes every section that began show. @return false when that cannot be done: nothing may be freed then. */
static bool barrier(void)
{
#if TSAN
    static uint64_t any;

    __atomic_fetch_add(&any, 1, __ATOMIC_SEQ_CST);
    return true;
#else
    if (!__atomic_load_n(&cheap_entry, __ATOMIC_ACQUIRE)) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        return true;
    }
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
        return true;
    return join_membarrier() && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
#endif
}

/* The largest stamp that has passed. */
static uint64_t look(void)
{
    uint64_t oldest = __atomic_load_n(&epoch_clock, __ATOMIC_ACQUIRE), was;

    pthread_once(&once, start);
    if (!barrier())
        return 0;
    for (struct epoch_slot *s = __atomic_load_n(&slots, __ATOMIC_ACQUIRE); s; s = s->next) {
        uint64_t a = __atomic_load_n(&s->active, __ATOMIC_SEQ_CST);

        if (a && a < oldest)
            oldest = a;
    }
    was = __atomic_load_n(&seen, __ATOMIC_RELAXED);
    while (was < oldest && !__atomic_compare_exchange_n(&seen, &was, oldest, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
        ;
    return oldest;
}

static void drop_node(struct node *n)
{
    if (!n->spare) {
        free(n);
        return;
    }
    pthread_mutex_lock(&mutex);
    spares_used &= ~(1ull << (n - spares));
    pthread_mutex_unlock(&mutex);
}

/* Frees what may go. @return whether nothing is left, here and with other threads. */
static bool reclaim(void)
{
    uint64_t passed;
    struct node *list, **end;
    bool empty;

    pthread_mutex_lock(&mutex);
    empty = !head && !running;
    pthread_mutex_unlock(&mutex);
    if (empty)
        return true;
    passed = look();
    pthread_mutex_lock(&mutex);
    list = head;
    for (end = &head; *end && (*end)->stamp <= passed; end = &(*end)->next)
        ;
    if (end != &head) {
        head = *end;
        *end = NULL;
        if (!head)
            tail = &head;
    } else {
        list = NULL;
    }
    running++;
    pthread_mutex_unlock(&mutex);
    while (list) {
        struct node *n = list;

        list = n->next;
        n->fn(n->p);
        drop_node(n);
    }
    pthread_mutex_lock(&mutex);
    running--;
    empty = !head && !running;
    pthread_mutex_unlock(&mutex);
    return empty;
}

/* reclaim() for this thread; what fns retire meanwhile is freed by the same call, not by recursion. */
static bool reclaim_here(struct epoch_slot *s)
{
    bool empty = true;

    if (!s)
        return reclaim();
    s->held = 0;
    s->freeing = true;
    do {
        s->again = false;
        empty = reclaim();
    } while (s->again && !s->nest);
    s->freeing = false;
    return empty;
}

void epoch_exit(struct epoch_slot *s)
{
    if (--s->nest)
        return;
    __atomic_store_n(&s->active, 0, __ATOMIC_RELEASE);
    if (__builtin_expect(s->held >= MANY, 0) && !s->freeing)
        reclaim_here(s);
}

static struct node *spare_node(void)
{
    struct node *n = NULL;

    pthread_mutex_lock(&mutex);
    if (~spares_used) {
        int i = __builtin_ctzll(~spares_used);

        spares_used |= 1ull << i;
        n = &spares[i];
    }
    pthread_mutex_unlock(&mutex);
    return n;
}

/* Out of memory: frees p here, when its time has come. Inside a section that never comes while we wait, so that the
 * last resort of a process which has not 40 bytes left is to let p stay. */
static void retire_slowly(void *p, void (*fn)(void *p))
{
    uint64_t stamp = epoch_stamp();

    if (mine && mine->nest)
        return;
    while (look() < stamp)
        if (barrier())
            sched_yield();
        else
            return;
    fn(p);
}

void epoch_retire(void *p, void (*fn)(void *p))
{
    struct epoch_slot *s = mine ? mine : join();
    struct node *n = malloc(sizeof(*n));
    bool spare = !n;

    if (!n && !(n = spare_node())) {
        retire_slowly(p, fn);
        return;
    }
    *n = (struct node){.p = p, .fn = fn, .spare = spare};
    pthread_mutex_lock(&mutex);
    n->stamp = epoch_stamp();
    *tail = n;
    tail = &n->next;
    pthread_mutex_unlock(&mutex);
    if (s && s->freeing)
        s->again = true;
    else if (!s || !s->nest || ++s->held >= MANY)
        reclaim_here(s);
}

void epoch_drain(void)
{
    struct epoch_slot *s = mine;

    if (s && s->freeing)
        return;
    /* Where a filter came to forbid membarrier(2) meanwhile nothing can be freed any more. */
    while (!reclaim_here(s) && barrier())
        sched_yield();
}

uint64_t epoch_stamp(void)
{
    return __atomic_fetch_add(&epoch_clock, 1, __ATOMIC_SEQ_CST) + 1;
}

bool epoch_passed(uint64_t stamp)
{
    return stamp <= __atomic_load_n(&seen, __ATOMIC_ACQUIRE);
}

void epoch_advance(void)
{
    look();
}
