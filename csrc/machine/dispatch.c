/* Which instruction sets this machine has, and their kernels.
 *
 * The compiler's run-time library asks CPUID once, at load, and XGETBV whether the operating system
 * saves the registers; CPUID itself takes microseconds in a virtual machine. */
#include "kernels/kernels.h"

/* setup.py says so too, and installs the rest; this is for those who compile for another machine than theirs. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "micrograd: the C core is for little-endian machines: nobody has tested it on a big-endian one"
#endif

int mg_isa_supported(int isa)
{
    switch (isa) {
    case MG_GENERIC: return 1;
#if defined(__x86_64__)
    case MG_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case MG_AVX512: return __builtin_cpu_supports("avx512f") && mg_isa_supported(MG_AVX2);
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
