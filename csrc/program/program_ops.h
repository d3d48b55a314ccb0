/* Programs as ops of a plan: an activation f(x), and a loss f(z, y), with their backward passes.
 *
 * How csrc/plan/ops.c uses them:
 *
 *     before a pass, outside the team     mg_program_reserve(p, most samples, threads)
 *     once a pass, by one member, with    mg_program_uniforms(p, parameters)
 *       a barrier behind it
 *     by every member of the team         mg_program_map, mg_program_map_backward, mg_program_loss_rows
 *     by one member, with a barrier       mg_program_add_gradients(p, samples, scale, gradients)
 *       in front of it
 *
 * Samples are the elements of a matrix for a map, rows for a loss.  `member` numbers the workspace that
 * the caller may use, below the number of threads reserved: team.index, but for a team of one that runs
 * beside others.  `parameters` and `gradients` are the program's n_parameters, in its order.  Nothing
 * here allocates or fails, or has a barrier. */
#ifndef MG_PROGRAM_OPS_H
#define MG_PROGRAM_OPS_H

#include "kernels/kernels.h"

/* MG_BAD_ARGUMENT: the program is neither; MG_OUT_OF_MEMORY. */
int mg_program_reserve(mg_program *p, int64_t samples, int threads);
void mg_program_uniforms(mg_program *p, const void *parameters);
int64_t mg_program_parameters(const mg_program *p); /* how many there are */

/* y = f(x), element by element.  They may be the same matrix. */
void mg_program_map(mg_program *p, mg_matrix x, mg_matrix y, mg_team team, int member);
/* dx = g * f'(x), += with accumulate, and sums of g * df/dparameter for mg_program_add_gradients.  dx may
 * be g; with dx.data NULL there are only the sums. */
void mg_program_map_backward(mg_program *p, mg_matrix x, mg_matrix g, mg_matrix dx, int accumulate,
                             mg_team team, int member);

/* The loss of all rows of the batch, of which this takes the member's share: row_loss (rows) =
 * weight * f(z, y), gradient (rows, columns) = weight * df/dz unless it is NULL, and then also sums of
 * weight * df/dparameter.  y is `labels` as reals, where there are labels, else `targets`. */
void mg_program_loss_rows(mg_program *p, const mg_loss_rows *rows, mg_team team, int member);

/* gradients (n_parameters) += scale * the sums that the last backward pass, or loss with a gradient, over
 * so many samples has left. */
void mg_program_add_gradients(mg_program *p, int64_t samples, double scale, void *gradients);

#endif
