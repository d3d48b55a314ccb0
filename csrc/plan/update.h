/* What follows a backward pass: for train.c, which fuses it, and on its own. */
#ifndef MG_UPDATE_H
#define MG_UPDATE_H

#include "kernels/kernels.h"

/* Sums over the gradients are made of so many chunks at most, of so many elements at least. */
enum { MG_UPDATE_CHUNKS = 64, MG_UPDATE_CHUNK = 4096 };

/* One update, and what the members of the team tell each other. */
typedef struct {
    mg_optimizer *optimizer;
    const mg_constraints *constraints;
    const mg_kernels *kernels;
    double factor; /* the gradients are multiplied by it first: 1 / (what the mean is over) */
    mg_result *result;
    int status;
    double squares[MG_UPDATE_CHUNKS], penalties[MG_UPDATE_CHUNKS], largest[MG_MAX_TEAM];
} mg_update;

/* The elements of an array that are summed up as chunks [first, last), of so many. */
int mg_update_chunks(int64_t n);
mg_range mg_update_elements(int64_t n, int64_t first, int64_t last);
/* The rates of the optimizer's next step, and that it has been made. */
mg_rates mg_rates_of(const mg_optimizer *o);
void mg_optimizer_advance(mg_optimizer *o);

/* NULL: its settings do not hold together. */
const mg_kernels *mg_optimizer_kernels(const mg_optimizer *optimizer);

/* Called by each member.  Where the status is not MG_OK, parameters and state are as they were. */
void mg_update_run(mg_update *u, mg_team team);

#endif
