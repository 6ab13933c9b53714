#include "kernel.h"
struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 4); __type(key, int); __type(value, long); } arr SEC(".maps");
__u64 t[4], p[3]; char s[8]; long n;
SEC("tp/x/y") int mocked(void *ctx)
{
    int key = bpf_get_smp_processor_id();
    long *v = bpf_map_lookup_elem(&arr, &key);
    for (int i = 0; i < 3; i++) { t[i] = bpf_ktime_get_ns(); p[i] = bpf_get_current_pid_tgid(); }
    n = bpf_probe_read_user_str(s, sizeof(s), (void *)4096);
    if (v) (*v)++;
    return v ? 1 : 0;
}
