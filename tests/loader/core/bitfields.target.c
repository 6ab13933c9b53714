struct bits {
    unsigned pad : 7;
    unsigned u3 : 9;
    int s5 : 12;
    unsigned long long wide;
    unsigned plain : 8;
    unsigned : 8;
    int sign : 16;
};
struct bits *b;
