/* An iterator over the system's maps, which finds its own. The types that Linux has are looked up by name. */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
    __u64 session_id, seq_num;
} __attribute__((preserve_access_index));

struct bpf_map {
    __u32 id;
    char name[16];
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map {
    struct bpf_iter_meta *meta;
    struct bpf_map *map;
} __attribute__((preserve_access_index));

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u32);
} find_me_here SEC(".maps");

SEC("iter/bpf_map") int maps(struct bpf_iter__bpf_map *ctx)
{
    static const char fmt[] = "map %s\n";
    struct bpf_map *map = ctx->map;
    __u32 zero = 0;
    __u64 arg;

    if (!map) {
        bpf_map_lookup_elem(&find_me_here, &zero);
        return 0;
    }
    arg = (unsigned long)map->name;
    bpf_seq_printf(ctx->meta->seq, fmt, sizeof(fmt), &arg, sizeof(arg));
    return 0;
}

char _license[] SEC("license") = "GPL";
