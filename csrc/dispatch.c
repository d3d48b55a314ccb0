/* Which instruction sets this machine has, and their kernels. */
#include "kernels.h"

#ifdef _OPENMP
#include <omp.h>
#endif

#if defined(__x86_64__)
#include <cpuid.h>

/* Which registers the operating system saves: CPUID alone says only what the processor has. */
static uint64_t saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static int x86_supports(int isa)
{
    enum { OSXSAVE = 1 << 27, AVX = 1 << 28, FMA = 1 << 12, AVX2 = 1 << 5, AVX512F = 1 << 16 };
    enum { YMM = 0x6, ZMM = 0xe6 };
    uint32_t a, b, c, d, c1;
    if (!__get_cpuid(1, &a, &b, &c1, &d) || (c1 & (OSXSAVE | AVX | FMA)) != (OSXSAVE | AVX | FMA))
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2))
        return 0;
    const uint64_t saved = saved_registers();
    if (isa == MG_AVX2)
        return (saved & YMM) == YMM;
    return (b & AVX512F) && (saved & ZMM) == ZMM;
}
#endif

int mg_isa_supported(int isa)
{
    switch (isa) {
    case MG_GENERIC: return 1;
#if defined(__x86_64__)
    case MG_AVX2:
    case MG_AVX512: return x86_supports(isa);
#elif defined(__aarch64__)
    case MG_NEON: return 1;
#endif
    default: return 0;
    }
}

int mg_isa_best(void)
{
    const int best_first[] = {MG_AVX512, MG_AVX2, MG_NEON};
    for (int i = 0; i < 3; i++)
        if (mg_isa_supported(best_first[i]))
            return best_first[i];
    return MG_GENERIC;
}

const mg_kernels *mg_kernels_find(int isa, int dtype)
{
    if (dtype < 0 || dtype >= MG_DTYPES || !mg_isa_supported(isa))
        return NULL;
    switch (isa) {
#if defined(__x86_64__)
    case MG_AVX2: return &mg_kernels_avx2[dtype];
    case MG_AVX512: return &mg_kernels_avx512[dtype];
#elif defined(__aarch64__)
    case MG_NEON: return &mg_kernels_neon[dtype];
#endif
    default: return &mg_kernels_generic[dtype];
    }
}

int mg_has_openmp(void)
{
#ifdef _OPENMP
    return 1;
#else
    return 0;
#endif
}

int mg_max_threads(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void mg_set_max_threads(int threads)
{
#ifdef _OPENMP
    omp_set_num_threads(threads);
#else
    (void)threads;
#endif
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *mg_compiler(void)
{
#if defined(__clang__)
    return "clang " __clang_version__;
#else
    return "gcc " __VERSION__;
#endif
}

const char *mg_source_hash(void)
{
    return TEXT(MG_SOURCE_HASH);
}
