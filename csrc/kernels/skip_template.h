/* What skip connections and dropout need besides matrix multiplication; part of the kernel template (see
 * template.h).  All of it goes over elements one by one. */

/* BODY for each vector of `rest` lanes at (i, j), over a matrix like `shape`. */
#define EACH_VECTOR(shape, BODY)                                                               \
    for (int64_t i = 0; i < (shape).rows; i++)                                                 \
        for (int64_t j = 0; j < (shape).columns; j += LANES) {                                 \
            const int rest = (shape).columns - j < LANES ? (int)((shape).columns - j) : LANES; \
            BODY                                                                               \
        }

static inline real *T(place)(mg_matrix x, int64_t i, int64_t j)
{
    return (real *)x.data + i * x.ld + j;
}

static inline vec T(get)(mg_matrix x, int64_t i, int64_t j, int rest)
{
    const real *from = T(place)(x, i, j);
    return rest == LANES ? T(v_load)(from) : T(v_load_first)(from, rest);
}

static inline void T(put)(mg_matrix x, int64_t i, int64_t j, int rest, vec value)
{
    real *to = T(place)(x, i, j);
    if (rest == LANES)
        T(v_store)(to, value);
    else
        T(v_store_first)(to, value, rest);
}

/* z = x + y; z may be either. */
static void T(add)(mg_matrix x, mg_matrix y, mg_matrix z)
{
    EACH_VECTOR(z, T(put)(z, i, j, rest, T(get)(x, i, j, rest) + T(get)(y, i, j, rest));)
}

/* out = t h + (1 - t) x, as x + t (h - x) would round to something else than x where t is 0 and h large. */
static void T(mix)(mg_matrix h, mg_matrix t, mg_matrix x, mg_matrix out)
{
    EACH_VECTOR(out, const vec gate = T(get)(t, i, j, rest);
                T(put)(out, i, j, rest, gate * T(get)(h, i, j, rest) + (1 - gate) * T(get)(x, i, j, rest));)
}

/* in: g, h, t, x.  out: dL/dh, dL/dz of the gate's sigmoid t = sigmoid(z), dL/dx. */
static void T(mix_backward)(const mg_matrix *in, const mg_matrix *out, int accumulate)
{
    EACH_VECTOR(in[0], const vec g = T(get)(in[0], i, j, rest); const vec h = T(get)(in[1], i, j, rest);
                const vec t = T(get)(in[2], i, j, rest); const vec x = T(get)(in[3], i, j, rest);
                vec carried = g * (1 - t); if (accumulate) carried += T(get)(out[2], i, j, rest);
                T(put)(out[0], i, j, rest, g * t); T(put)(out[1], i, j, rest, g * (h - x) * (t * (1 - t)));
                T(put)(out[2], i, j, rest, carried);)
}

#if MG_BITS == 32
#define unsigned_integer uint32_t
#else
#define unsigned_integer uint64_t
#endif
typedef unsigned_integer T(uvec) __attribute__((vector_size(MG_VECTOR_BYTES)));

/* 32 random bits in each lane, from 32 bits that differ: Wellons' lowbias32.  With 64-bit lanes the upper
 * half stays empty, so that both dtypes and all vector widths draw the same. */
static inline T(uvec) T(scrambled)(T(uvec) x)
{
    const T(uvec) low = (T(uvec)){0} + 0xffffffffu;
    x ^= x >> 16;
    x = x * 0x7feb352du & low;
    x ^= x >> 15;
    x = x * 0x846ca68bu & low;
    return x ^ x >> 16;
}

/* y (+)= x * mask / (1 - rate).  Element (row, column) of the batch is dropped or not by a hash of key, row
 * and column: a backward pass, or a pass that is computed again, finds the same mask. */
static void T(dropout)(double rate, uint64_t key, int64_t first_row, mg_matrix x, mg_matrix y, int accumulate)
{
    const ivec threshold = T(v_isplat)((integer)(rate * (1 << 24)));
    const vec scale = T(v_splat)((real)(1 / (1 - rate)));
    const T(uvec) low = (T(uvec)){0} + 0xffffffffu;
    for (int64_t i = 0; i < x.rows; i++) {
        const uint64_t row = mg_mixed(key + (uint64_t)(first_row + i));
        for (int64_t j = 0; j < x.columns; j += LANES) {
            const int rest = x.columns - j < LANES ? (int)(x.columns - j) : LANES;
            T(uvec) bits = (T(uvec))T(v_lane)() + (unsigned_integer)(uint32_t)j;
            bits = T(scrambled)((bits + (unsigned_integer)(uint32_t)row) & low);
            bits = T(scrambled)(bits ^ (unsigned_integer)(row >> 32));
            vec value = T(v_select)((ivec)(bits >> 8) < threshold, (vec){0}, T(get)(x, i, j, rest) * scale);
            if (accumulate)
                value += T(get)(y, i, j, rest);
            T(put)(y, i, j, rest, value);
        }
    }
}
#undef unsigned_integer
