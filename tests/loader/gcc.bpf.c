// What gcc makes: helpers by attribute, addends with the symbol's value in them, maps through its BTF.
// not: clang-14 clang-16 clang-19 clang-22 clang
#define SEC(name)            __attribute__((section(name), used))
#define __uint(name, val)    int(*name)[val]
#define __type(name, val)    typeof(val) *name
#define noinline             __attribute__((noinline))

void *map_lookup(void *map, const void *key) __attribute__((kernel_helper(1)));
long map_update(void *map, const void *key, const void *value, unsigned long flags) __attribute__((kernel_helper(2)));

// expect-map: first array 4 8 2
struct {
    __uint(type, 2);
    __uint(max_entries, 2);
    __type(key, int);
    __type(value, long);
} first SEC(".maps");

// expect-map: second hash 4 8 10
struct {
    __uint(type, 1);
    __uint(max_entries, 10);
    __type(key, int);
    __type(value, long);
} second SEC(".maps");

// expect-var: array .data 32
// expect-var: other .data 4
int array[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
int other = 100;
static volatile int local = 1000;

static noinline int leaf(int x)
{
    return x + array[3] + local;
}

static noinline int second_leaf(int x)
{
    return leaf(x) + array[1];
}

noinline int global(int x)
{
    return second_leaf(x) * 2 + other;
}

// expect-prog: data xdp 4
// result: data 3114
SEC("xdp") int data(void *ctx)
{
    return global(other - 100) + second_leaf(other - 100) - leaf(-1000);
}

// result: maps 12
SEC("xdp") int maps(void *ctx)
{
    int key = 1;
    long value = 12, *p;

    map_update(&second, &key, &value, 0);
    p = map_lookup(&first, &key);
    if (!p || *p)
        return 1;
    p = map_lookup(&second, &key);
    return p ? *p : 2;
}

char _license[] SEC("license") = "GPL";
