/* What the machine can do at most: the loops behind mg_measure_fma and mg_measure_triad.  Part of the
 * kernel template (see template.h). */

/* Chains of multiply-adds that run side by side.  A fused multiply-add takes 4 or 5 cycles and a core
 * starts 2 of them a cycle, so that 10 chains keep it busy; 12 fit into 16 registers with w and x. */
#define CHAINS 12

/* `steps` times acc = acc * w + x in each lane of each chain.  Returns the number of operations; *start
 * goes in and comes out, so that no compiler can leave the loop out.  All chains tend to x / (1 - w):
 * the numbers stay normal. */
static double T(fma_chains)(int64_t steps, double *start)
{
    const vec w = T(v_splat)((real)0.5), x = T(v_splat)((real)*start);
    vec acc[CHAINS];
    MG_UNROLL
    for (int i = 0; i < CHAINS; i++)
        acc[i] = x * (real)(i + 1);
    for (int64_t step = 0; step < steps; step++) {
        MG_UNROLL
        for (int i = 0; i < CHAINS; i++)
            acc[i] = MULTIPLY_ADD(acc[i], w, x);
    }
    vec sum = {0};
    MG_UNROLL
    for (int i = 0; i < CHAINS; i++)
        sum += acc[i];
    *start = T(v_sum)(sum) / (2.0 * CHAINS * LANES);
    return 2.0 * CHAINS * LANES * (double)steps;
}

/* a (n) = b (n) + w * c (n): the triad of McCalpin's STREAM.  n is a multiple of LANES. */
static void T(triad)(int64_t n, void *a_, const void *b_, const void *c_)
{
    real *a = a_;
    const real *b = b_, *c = c_;
    const vec w = T(v_splat)((real)0.5);
    for (int64_t i = 0; i < n; i += LANES)
        T(v_store)(a + i, T(v_load)(b + i) + w * T(v_load)(c + i));
}

#undef CHAINS
