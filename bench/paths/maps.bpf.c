/*
 * More of what paths.bpf.c does: maps of other types and sizes. Each program does one thing OPS times for the thread
 * that the packet's last byte names, so that two threads work on keys of their own; its twin does everything else.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

enum { OPS = 64, FILLED = 1024, MILLION = 1 << 20, PACKET = 64 };

struct key16 {
    __u64 word[2];
};

struct key64 {
    __u64 word[8];
};

struct prefix {
    __u32 len, addr;
};

#define MAP(name, kind, key_type, size, flags)                                                                         \
    struct {                                                                                                           \
        __uint(type, kind);                                                                                            \
        __uint(max_entries, size);                                                                                     \
        __uint(map_flags, flags);                                                                                      \
        __type(key, key_type);                                                                                         \
        __type(value, __u64);                                                                                          \
    } name SEC(".maps")

#define LIST(name, kind, size)                                                                                         \
    struct {                                                                                                           \
        __uint(type, kind);                                                                                            \
        __uint(max_entries, size);                                                                                     \
        __type(value, __u64);                                                                                          \
    } name SEC(".maps")

MAP(some8, BPF_MAP_TYPE_HASH, __u64, 4 * FILLED, 0);
MAP(some16, BPF_MAP_TYPE_HASH, struct key16, 4 * FILLED, 0);
MAP(some64, BPF_MAP_TYPE_HASH, struct key64, 4 * FILLED, 0);
MAP(percpu, BPF_MAP_TYPE_PERCPU_HASH, __u64, 4 * FILLED, 0);
MAP(trie_1k, BPF_MAP_TYPE_LPM_TRIE, struct prefix, MILLION, BPF_F_NO_PREALLOC);
MAP(trie_1m, BPF_MAP_TYPE_LPM_TRIE, struct prefix, MILLION, BPF_F_NO_PREALLOC);
LIST(queue, BPF_MAP_TYPE_QUEUE, FILLED);
LIST(filter_put, BPF_MAP_TYPE_BLOOM_FILTER, 64 * FILLED);
LIST(filter_ask, BPF_MAP_TYPE_BLOOM_FILTER, 64 * FILLED);

struct locked {
    struct bpf_spin_lock lock;
    __u64 n;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct locked);
} counter SEC(".maps");

#define KEEP(at) asm volatile("" : : "r"(at) : "memory")

static __always_inline __u64 thread_of(struct xdp_md *ctx)
{
    unsigned char *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

    return data + PACKET <= end ? data[PACKET - 1] : 0;
}

#define PATH(name, made, done)                                                                                         \
    SEC("xdp") int name(struct xdp_md *ctx)                                                                            \
    {                                                                                                                  \
        __u64 n = 0, who = thread_of(ctx);                                                                             \
                                                                                                                       \
        _Pragma("clang loop unroll(disable)") for (__u64 i = 0; i < OPS; i++)                                          \
        {                                                                                                              \
            made;                                                                                                      \
            if (done)                                                                                                  \
                n++;                                                                                                   \
        }                                                                                                              \
        return n;                                                                                                      \
    }                                                                                                                  \
    SEC("xdp") int name##_none(struct xdp_md *ctx)                                                                     \
    {                                                                                                                  \
        __u64 n = 0, who = thread_of(ctx);                                                                             \
                                                                                                                       \
        _Pragma("clang loop unroll(disable)") for (__u64 i = 0; i < OPS; i++)                                          \
        {                                                                                                              \
            made;                                                                                                      \
            n++;                                                                                                       \
        }                                                                                                              \
        return n;                                                                                                      \
    }

#define KEY8(x)                                                                                                        \
    __u64 key = (x) + who;                                                                                             \
                                                                                                                       \
    KEEP(&key)

#define KEY16(x)                                                                                                       \
    struct key16 key = {{(x) + who, 1}};                                                                               \
                                                                                                                       \
    KEEP(&key)

#define KEY64(x)                                                                                                       \
    struct key64 key = {{(x) + who, 1, 2, 3, 4, 5, 6, 7}};                                                             \
                                                                                                                       \
    KEEP(&key)

static __always_inline int come_and_go(void *map, const void *key, const __u64 *value)
{
    return !bpf_map_update_elem(map, key, value, BPF_NOEXIST) && !bpf_map_delete_elem(map, key);
}

PATH(hash_hit_16, KEY16(i * 16), bpf_map_lookup_elem(&some16, &key))
PATH(hash_miss_16, KEY16(i * 16 + FILLED), !bpf_map_lookup_elem(&some16, &key))
PATH(hash_update_16, KEY16(i * 16), !bpf_map_update_elem(&some16, &key, &key, BPF_ANY))
PATH(hash_update_64, KEY64(i * 16), !bpf_map_update_elem(&some64, &key, &key, BPF_ANY))
PATH(hash_new_8, KEY8(i * 16 + FILLED), come_and_go(&some8, &key, &key))
PATH(hash_new_16, KEY16(i * 16 + FILLED), come_and_go(&some16, &key, &key.word[0]))
PATH(hash_new_64, KEY64(i * 16 + FILLED), come_and_go(&some64, &key, &key.word[0]))
PATH(percpu_hit_8, KEY8(i * 16), bpf_map_lookup_elem(&percpu, &key))

/* Addresses that come again after all that there are. */
__u32 address[4];

#define PREFIX                                                                                                         \
    struct prefix key = {32, address[who & 3] += 0x9e3779b1};                                                          \
                                                                                                                       \
    KEEP(&key)

PATH(lpm_1k, PREFIX, bpf_map_lookup_elem(&trie_1k, &key))
PATH(lpm_1m, PREFIX, bpf_map_lookup_elem(&trie_1m, &key))

static __always_inline int through(__u64 *value)
{
    return !bpf_map_push_elem(&queue, value, BPF_ANY) && !bpf_map_pop_elem(&queue, value);
}

PATH(queue_through, KEY8(i), through(&key))
PATH(bloom_push, KEY8(i * 16), !bpf_map_push_elem(&filter_put, &key, BPF_ANY))
PATH(bloom_peek, KEY8(i * 16), !bpf_map_peek_elem(&filter_ask, &key))

static __always_inline int count_locked(void)
{
    __u32 zero = 0;
    struct locked *c = bpf_map_lookup_elem(&counter, &zero);

    if (!c)
        return 0;
    bpf_spin_lock(&c->lock);
    c->n++;
    bpf_spin_unlock(&c->lock);
    return 1;
}

PATH(spin_lock, KEY8(i), count_locked())

/* What the maps hold before anything is measured; the tries are filled from outside. */
SEC("xdp") int fill(struct xdp_md *ctx)
{
    __u64 n = 0;

    _Pragma("clang loop unroll(disable)") for (__u64 i = 0; i < FILLED; i++)
    {
        __u64 key = i;
        struct key16 wide = {{i, 1}};
        struct key64 wider = {{i, 1, 2, 3, 4, 5, 6, 7}};

        n += !bpf_map_update_elem(&some8, &key, &key, BPF_ANY);
        n += !bpf_map_update_elem(&some16, &wide, &key, BPF_ANY);
        n += !bpf_map_update_elem(&some64, &wider, &key, BPF_ANY);
        n += !bpf_map_update_elem(&percpu, &key, &key, BPF_ANY);
        n += !bpf_map_push_elem(&filter_ask, &key, BPF_ANY);
    }
    return n;
}

char _license[] SEC("license") = "GPL";
