/* Weights laid out once for many predictions. */
#include <stdlib.h>

#include "machine/memory.h"
#include "plan/plan.h"

static mg_gemm weights_of(const mg_plan *plan, const mg_op *op)
{
    const int64_t in = plan->buffers[op->in[0]].columns, out = plan->buffers[op->out[0]].columns;
    return (mg_gemm){.n = out,
                     .k = in,
                     .b = plan->parameters + op->weight * (int64_t)plan->real_size,
                     .b_row = 1,
                     .b_col = in};
}

static size_t panel_bytes(const mg_plan *plan, const mg_op *op)
{
    const mg_gemm g = weights_of(plan, op);
    return ((size_t)plan->kernels->panel_reals(g.n, g.k) * plan->real_size + 63) / 64 * 64;
}

/* Whether the weights of `like` have the shapes that those of the plan have. */
static int alike(const mg_plan *plan, const mg_plan *like)
{
    if (!like->panels || like->kernels != plan->kernels || like->n_ops != plan->n_ops)
        return 0;
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *one = &plan->ops[i], *other = &like->ops[i];
        if (one->kind != other->kind)
            return 0;
        if (one->kind != MG_LINEAR)
            continue;
        const mg_gemm a = weights_of(plan, one), b = weights_of(like, other);
        if (a.n != b.n || a.k != b.k)
            return 0;
    }
    return 1;
}

int mg_plan_freeze(mg_plan *plan, const mg_plan *like)
{
    if (mg_plan_goes_back(plan) || !plan->parameters || like == plan || (like && !alike(plan, like)))
        return MG_BAD_ARGUMENT;
    size_t bytes = 0;
    for (int i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].kind == MG_LINEAR)
            bytes += panel_bytes(plan, &plan->ops[i]);
    const char **panels = calloc((size_t)plan->n_ops + 1, sizeof *panels);
    char *memory = like ? NULL : mg_memory_new(bytes + 64);
    if (!panels || (!like && !memory)) {
        free(panels);
        mg_memory_free(memory);
        return MG_OUT_OF_MEMORY;
    }
    char *next = memory;
    for (int i = 0; i < plan->n_ops; i++) {
        const mg_op *op = &plan->ops[i];
        if (op->kind != MG_LINEAR)
            continue;
        panels[i] = like ? like->panels[i] : next;
        if (like)
            continue;
        const mg_gemm g = weights_of(plan, op);
        plan->kernels->lay_out(&g, next);
        next += panel_bytes(plan, op);
    }
    mg_plan_thaw(plan);
    plan->panels = panels;
    plan->laid_out = memory;
    return MG_OK;
}

void mg_plan_thaw(mg_plan *plan)
{
    free(plan->panels);
    mg_memory_free(plan->laid_out);
    plan->panels = NULL;
    plan->laid_out = NULL;
}
