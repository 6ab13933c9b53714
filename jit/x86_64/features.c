/* What the CPU has beyond plain x86-64, asked once: the answer is the same for the life of the process. */
#include "jit/x86_64/lower.h"

#ifdef __x86_64__
#include <cpuid.h>
#endif

#define ASKED 0x80000000u

static uint32_t ask(void)
{
    uint32_t has = ASKED;
#ifdef __x86_64__
    unsigned a, b, c, d;

    if (__get_cpuid(1, &a, &b, &c, &d) && c & bit_MOVBE)
        has |= X86_HAS_MOVBE;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        has |= (b & bit_BMI ? X86_HAS_BMI1 : 0) | (b & bit_BMI2 ? X86_HAS_BMI2 : 0);
#endif
    return has;
}

uint32_t x86_features(void)
{
    static uint32_t known;
    uint32_t has = __atomic_load_n(&known, __ATOMIC_RELAXED);

    if (!has) {
        has = ask();
        __atomic_store_n(&known, has, __ATOMIC_RELAXED);
    }
    return has & ~ASKED;
}
