/* A group of networks in the lanes of vectors: lanes.c trains it, lanes_ops.c runs its ops. */
#ifndef MG_LANES_GROUP_H
#define MG_LANES_GROUP_H

#include "plan/lanes.h"

typedef struct {
    mg_training *trainings[MG_MOST_LANES];
    int used; /* of the lanes; the others do what the first does */
    const mg_plan *plan;
    const mg_kernels *kernels;
    int lanes;
    size_t vector; /* its bytes */
    int shared;    /* all train on the same rows in the same order */
    char *memory, *parameters, *gradients, *state[3], *x;
    char **values; /* of each buffer */
    char *labels;  /* (rows, lanes), as wide as a real */
    char *scratch; /* of the products */
    int64_t rows;  /* of this batch */
    mg_optimizer optimizers[MG_MOST_LANES];
    mg_result results[MG_MOST_LANES];
    mg_epochs epochs[MG_MOST_LANES];
    double totals[MG_MOST_LANES][2], losses[MG_MOST_LANES], penalties[MG_MOST_LANES];
    int64_t steps;
    int odd[MG_MOST_LANES];   /* to be trained alone */
    int ended[MG_MOST_LANES]; /* has been given back */
} mg_lanes_group;

/* Where an element of an array of the group lies. */
static inline char *mg_lanes_at(const mg_lanes_group *g, char *array, int64_t element)
{
    return array + (size_t)element * g->vector;
}

/* An op on the batch at hand; `scale`: of the gradients of the parameters.  A loss leaves its sums in `losses`. */
void mg_lanes_run_op(mg_lanes_group *g, const mg_op *op, double scale);

#endif
