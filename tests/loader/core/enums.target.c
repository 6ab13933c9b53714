enum e { TWO___v2 = 20, ONE = 10, MINUS = -5 };
enum large { SMALL = 3, LARGE = 0x200000001ull };
enum e e;
enum large l;
