struct s {
    int pad, there, changed, arr[2];
};
struct twice {
    int a, pad, b;
};
struct twice___other {
    int pad, a, b;
};
struct s *s;
struct twice *t;
struct twice___other *o;
