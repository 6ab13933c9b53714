struct one {
    long more;
    const void *p;
    volatile int a;
};
union u {
    int a;
    long b;
};
typedef long word;
typedef int (*fn)(const int, struct one *);
enum e { E2 = 7, E0, E1 };
struct absent___not;
struct one *o;
union u *u;
word w;
fn f;
enum e e;
