/* Small equal networks side by side: for many.c, which finds them. */
#ifndef MG_LANES_H
#define MG_LANES_H

#include "plan/plan.h"

/* Bytes of the arrays of a group of such networks, for so many rows. */
size_t mg_lanes_bytes(const mg_plan *plan, int64_t rows);
/* As mg_train_one for each; `count` is at most the number of lanes, and they are alike. */
void mg_lanes_train(mg_training *const *trainings, int count);

#endif
