/*
 * A hash table as one would write it in C for one program and one thread: open addressing, the whole table in one
 * array, key size known to the compiler. What it takes is what a map could take at best.
 */
#ifndef BENCH_PATHS_TABLE_H
#define BENCH_PATHS_TABLE_H

#include <stdint.h>

/* What a path does natively, `runs` times over, as the programs of paths.bpf.c do it. @return how often it succeeded.
 */
typedef uint64_t (*table_fn)(unsigned runs);

uint64_t table_hit_8(unsigned runs);
uint64_t table_miss_8(unsigned runs);
uint64_t table_hit_64(unsigned runs);
uint64_t table_miss_64(unsigned runs);
uint64_t table_update_8(unsigned runs);
uint64_t table_none_8(unsigned runs);
uint64_t table_none_64(unsigned runs);

/** Puts what the programs' maps hold into the tables. */
void table_fill(void);

#endif
