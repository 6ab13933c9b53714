struct inner {
    int y __attribute__((aligned(8)));
    int pad;
};
struct s_inner {
    int other, y, x, last;
};
struct s___target {
    unsigned long pad;
    unsigned short a;
    long i;
    struct {
        struct s_inner in;
        long deep;
    };
    int arr[3];
    float between;
    long more[4];
    int mat[2][3];
    struct s_inner many[2];
    char name[4];
    void *ptr;
    int other;
    struct {
        short first;
        int only;
    } wrap;
    int gone_sign;
    int flex[];
};
struct s___target *s;
struct inner *i;
