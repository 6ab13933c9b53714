#define LOOP          loop_checked
#define LOOP_CHECKED  1
#define LOOP_THREADED 1
#include "vm/interp/handlers.inc"
