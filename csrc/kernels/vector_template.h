/* The vector type of one dtype and one instruction set: everything that the kernels need from the
 * machine.  Part of the kernel template (see template.h): included once per dtype by each isa_*.c,
 * which has set
 *     MG_BITS          32 for float, 64 for double
 *     MG_VECTOR_BYTES  16, 32 or 64
 *     MG_WITH_AVX2, MG_WITH_AVX512 or neither.
 *
 * `vec` holds LANES reals, `ivec` as many integers of the same width.  A comparison gives an ivec
 * of -1 (true) and 0 (false) a lane, which `v_select` takes. */

#if MG_BITS == 32
#define T(name) name##_f32
#define real float
#define integer int32_t
#else
#define T(name) name##_f64
#define real double
#define integer int64_t
#endif

#define LANES (MG_VECTOR_BYTES * 8 / MG_BITS)
#define vec T(vec)
#define ivec T(ivec)

typedef real vec __attribute__((vector_size(MG_VECTOR_BYTES)));
typedef integer ivec __attribute__((vector_size(MG_VECTOR_BYTES)));
typedef real T(vec_unaligned) __attribute__((vector_size(MG_VECTOR_BYTES), aligned(sizeof(real)), may_alias));

static inline vec T(v_splat)(real x)
{
    return x - (vec){0};
}

static inline ivec T(v_isplat)(integer x)
{
    return x - (ivec){0};
}

static inline vec T(v_load)(const real *p)
{
    return *(const T(vec_unaligned) *)p;
}

static inline void T(v_store)(real *p, vec x)
{
    *(T(vec_unaligned) *)p = x;
}

/* a where the mask is true, else b; the bits that are not taken never matter, NaN or not. */
static inline vec T(v_select)(ivec mask, vec a, vec b)
{
    return (vec)(((ivec)a & mask) | ((ivec)b & ~mask));
}

static inline vec T(v_abs)(vec x)
{
    return (vec)((ivec)x & ~(ivec)T(v_splat)((real)-0.0));
}

/* |x| with the sign of s. */
static inline vec T(v_copysign)(vec x, vec s)
{
    const ivec sign = (ivec)T(v_splat)((real)-0.0);
    return (vec)(((ivec)x & ~sign) | ((ivec)s & sign));
}

/* The larger and the smaller; a NaN in x stays, a NaN in y is passed over: x86's min and max give
 * their second operand where either is NaN.  gcc 12 makes four instructions of a comparison and a
 * v_select here, which cost exp a quarter of its time. */
#if defined(MG_WITH_AVX512)
#define MG_X86(operation)                                               \
    (MG_BITS == 32 ? (vec)_mm512_##operation##_ps((__m512)y, (__m512)x) \
                   : (vec)_mm512_##operation##_pd((__m512d)y, (__m512d)x))
#elif defined(MG_WITH_AVX2)
#define MG_X86(operation)                                               \
    (MG_BITS == 32 ? (vec)_mm256_##operation##_ps((__m256)y, (__m256)x) \
                   : (vec)_mm256_##operation##_pd((__m256d)y, (__m256d)x))
#elif defined(__SSE2__)
#define MG_X86(operation)                                            \
    (MG_BITS == 32 ? (vec)_mm_##operation##_ps((__m128)y, (__m128)x) \
                   : (vec)_mm_##operation##_pd((__m128d)y, (__m128d)x))
#endif

static inline vec T(v_max)(vec x, vec y)
{
#ifdef MG_X86
    return MG_X86(max);
#else
    return T(v_select)(x < y, y, x);
#endif
}

static inline vec T(v_min)(vec x, vec y)
{
#ifdef MG_X86
    return MG_X86(min);
#else
    return T(v_select)(x > y, y, x);
#endif
}
#undef MG_X86

/* x * y + z, rounded once where there is such an instruction.  Left to itself a compiler fuses the two in some
 * copies of a loop and not in others: where the same element may fall into several, this has the same bits. */
static inline vec T(v_fma)(vec x, vec y, vec z)
{
#if defined(MG_WITH_AVX512) && MG_BITS == 32
    return (vec)_mm512_fmadd_ps((__m512)x, (__m512)y, (__m512)z);
#elif defined(MG_WITH_AVX512)
    return (vec)_mm512_fmadd_pd((__m512d)x, (__m512d)y, (__m512d)z);
#elif defined(MG_WITH_AVX2) && MG_BITS == 32
    return (vec)_mm256_fmadd_ps((__m256)x, (__m256)y, (__m256)z);
#elif defined(MG_WITH_AVX2)
    return (vec)_mm256_fmadd_pd((__m256d)x, (__m256d)y, (__m256d)z);
#elif defined(__aarch64__) && MG_BITS == 32
    return (vec)vfmaq_f32((float32x4_t)z, (float32x4_t)x, (float32x4_t)y);
#elif defined(__aarch64__)
    return (vec)vfmaq_f64((float64x2_t)z, (float64x2_t)x, (float64x2_t)y);
#else
    return x * y + z;
#endif
}

/* x * y + z in the innermost loops: a compiler that may fuse the two there does it well (see kernels.h). */
#ifdef __aarch64__
#define MULTIPLY_ADD(x, y, z) T(v_fma)(x, y, z)
#else
#define MULTIPLY_ADD(x, y, z) ((x) * (y) + (z))
#endif

/* The compiler makes one instruction of this. */
static inline vec T(v_sqrt)(vec x)
{
    for (int i = 0; i < LANES; i++)
        x[i] = MG_BITS == 32 ? (real)__builtin_sqrtf((float)x[i]) : (real)__builtin_sqrt((double)x[i]);
    return x;
}

/* The first `count` lanes from p, zeros behind them; nothing past p + count is touched.
 * 0 <= count <= LANES. */
static inline vec T(v_load_first)(const real *p, int count)
{
#if defined(MG_WITH_AVX512) && MG_BITS == 32
    return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), p);
#elif defined(MG_WITH_AVX512)
    return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << count) - 1u), p);
#elif defined(MG_WITH_AVX2) && MG_BITS == 32
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (vec)_mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane));
#elif defined(MG_WITH_AVX2)
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    return (vec)_mm256_maskload_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), lane));
#else /* 16 bytes: no loop over the lanes, which goes through memory (a step took 1.6 times as long by clang) */
    switch (count) {
    case 0: return (vec){0};
    case 1: return (vec){p[0]};
#if MG_BITS == 32
    case 2: return (vec){p[0], p[1]};
    case 3: return (vec){p[0], p[1], p[2]};
#endif
    default: return T(v_load)(p);
    }
#endif
}

static inline void T(v_store_first)(real *p, vec x, int count)
{
#if defined(MG_WITH_AVX512) && MG_BITS == 32
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1u), (__m512)x);
#elif defined(MG_WITH_AVX512)
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1u), (__m512d)x);
#elif defined(MG_WITH_AVX2) && MG_BITS == 32
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane), (__m256)x);
#elif defined(MG_WITH_AVX2)
    const __m256i lane = _mm256_setr_epi64x(0, 1, 2, 3);
    _mm256_maskstore_pd(p, _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), lane), (__m256d)x);
#else
    switch (count) {
    case 0: return;
#if MG_BITS == 32
    case 3: p[2] = x[2]; /* fall through */
    case 2: p[1] = x[1]; /* fall through */
#endif
    case 1: p[0] = x[0]; return;
    default: T(v_store)(p, x);
    }
#endif
}

/* 0, 1, 2, ... */
static inline ivec T(v_lane)(void)
{
    ivec lane;
    for (int i = 0; i < LANES; i++)
        lane[i] = i;
    return lane;
}

/* The first `count` lanes of x, zeros behind them. */
static inline vec T(v_first_lanes)(vec x, int count)
{
    return T(v_select)(T(v_lane)() < (integer)count, x, (vec){0});
}

/* Sums and maxima over the lanes, always in the same order. */
static inline real T(v_sum)(vec x)
{
    real lane[LANES];
    T(v_store)(lane, x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static inline real T(v_max_lane)(vec x)
{
    real lane[LANES];
    T(v_store)(lane, x);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] = lane[i] < lane[i + half] ? lane[i + half] : lane[i];
    return lane[0];
}

/* `count` elements that lie `stride` apart, zeros behind them. */
static inline vec T(v_load_strided)(const real *p, int64_t stride, int count)
{
    vec x = {0};
    for (int i = 0; i < count; i++)
        x[i] = p[i * stride];
    return x;
}

/* Transposes LANES x LANES in log2(LANES) rounds of shuffles that each are one instruction everywhere:
 * first the QUAD x QUAD blocks that lie in the same 16 bytes of the vectors, by interleaving the halves
 * of each 16 bytes (a perfect shuffle, two rounds of which transpose 4 x 4); then the blocks among
 * themselves, by taking the even and the odd ones apart (the inverse of a perfect shuffle). */
#define QUAD (128 / MG_BITS)
#define ZIP_LOW(lane) ((lane) / QUAD * QUAD + (lane) % QUAD / 2 + (lane) % 2 * LANES)
#define ZIP_HIGH(lane) (ZIP_LOW(lane) + QUAD / 2)
#define EVEN(lane) ((lane) / QUAD * 2 * QUAD + (lane) % QUAD)
#define ODD(lane) (EVEN(lane) + QUAD)

#define FOUR(index, i) index(i), index(i + 1), index(i + 2), index(i + 3)
#if MG_VECTOR_BYTES * 8 / MG_BITS == 16
#define ALL_LANES(index) FOUR(index, 0), FOUR(index, 4), FOUR(index, 8), FOUR(index, 12)
#elif MG_VECTOR_BYTES * 8 / MG_BITS == 8
#define ALL_LANES(index) FOUR(index, 0), FOUR(index, 4)
#elif MG_VECTOR_BYTES * 8 / MG_BITS == 4
#define ALL_LANES(index) FOUR(index, 0)
#else
#define ALL_LANES(index) index(0), index(1)
#endif

#ifdef __clang__
#define SHUFFLE(a, b, index) __builtin_shufflevector(a, b, ALL_LANES(index))
#else
#define SHUFFLE(a, b, index) __builtin_shuffle(a, b, (ivec){ALL_LANES(index)})
#endif

static inline __attribute__((always_inline)) void T(v_transpose)(vec block[LANES])
{
    vec next[LANES];
    MG_UNROLL
    for (int round = 1; round < QUAD; round *= 2) {
        MG_UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            const int from = i / (QUAD / 2) * QUAD + i % (QUAD / 2);
            next[2 * i] = SHUFFLE(block[from], block[from + QUAD / 2], ZIP_LOW);
            next[2 * i + 1] = SHUFFLE(block[from], block[from + QUAD / 2], ZIP_HIGH);
        }
        MG_UNROLL
        for (int i = 0; i < LANES; i++)
            block[i] = next[i];
    }
    MG_UNROLL
    for (int round = QUAD; round < LANES; round *= 2) {
        MG_UNROLL
        for (int i = 0; i < LANES / 2; i++) {
            const int from = i / QUAD * 2 * QUAD + i % QUAD;
            next[i] = SHUFFLE(block[from], block[from + QUAD], EVEN);
            next[i + LANES / 2] = SHUFFLE(block[from], block[from + QUAD], ODD);
        }
        MG_UNROLL
        for (int i = 0; i < LANES; i++)
            block[i] = next[i];
    }
}

/* Where lanes are summed in double: WIDE doubles in each of PARTS vectors.  Loops over lanes are not left to
 * the compiler: gcc 12 made four times as slow code of them where it had been asked for -fPIC. */
#define WIDE (MG_VECTOR_BYTES / (int)sizeof(double))
#define PARTS (LANES / WIDE)
#define wide T(wide)
typedef double wide __attribute__((vector_size(MG_VECTOR_BYTES)));
typedef int64_t T(wide_mask) __attribute__((vector_size(MG_VECTOR_BYTES)));
typedef real T(narrow) __attribute__((vector_size(MG_VECTOR_BYTES / sizeof(double) * sizeof(real))));

/* A part of the lanes, 0 or 1.  For AVX-512 gcc 12 does it through memory, and in halves. */
static inline wide T(v_widen)(vec x, int part)
{
#if defined(MG_WITH_AVX512) && MG_BITS == 32
    const __m512d both = (__m512d)x;
    return (wide)_mm512_cvtps_pd(
        (__m256)(part ? _mm512_extractf64x4_pd(both, 1) : _mm512_castpd512_pd256(both)));
#else
    T(narrow) some;
    memcpy(&some, (const char *)&x + (size_t)part * sizeof some, sizeof some);
    return __builtin_convertvector(some, wide);
#endif
}

static inline double T(sum_wide)(const wide parts[PARTS])
{
    double lanes[WIDE];
    wide sum = parts[0];
    MG_UNROLL
    for (int part = 1; part < PARTS; part++)
        sum += parts[part];
    memcpy(lanes, &sum, sizeof lanes);
    for (int half = WIDE / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lanes[i] += lanes[i + half];
    return lanes[0];
}
