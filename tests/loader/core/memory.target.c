struct m {
    long pad;
    unsigned short shrinks;
    unsigned short hole;
    unsigned grows;
    void *ptr;
    int same;
    int nine;
    unsigned short arr[4];
    long sign;
    short stored;
};
struct m *m;
