/* linear, activation -> linear -> loss, and back: the smallest plan that trains. */
#ifndef TWO_LAYERS_H
#define TWO_LAYERS_H

#include "guard.h"

enum { X, A, OUT, G_OUT, G_A, N_BUFFERS };
enum { FORWARD = 2, N_OPS = 6 };

static mg_plan *two_layers(int isa, int activation, int loss, int64_t in, int64_t hidden, int64_t out,
                           int training, int64_t *n)
{
    const int64_t first = in * hidden, second = first + hidden, last = second + hidden * out;
    const mg_buffer buffers[N_BUFFERS] = {{.storage = -1, .width = in, .columns = in},
                                          {.storage = 0, .width = hidden, .columns = hidden},
                                          {.storage = 1, .width = out, .columns = out},
                                          {.storage = 2, .width = out, .columns = out},
                                          {.storage = 3, .width = hidden, .columns = hidden}};
    const int where[N_OPS][3] = {{X, -1, A},     {A, -1, OUT},    {OUT, -1, training ? G_OUT : -1},
                                 {G_OUT, A, -1}, {G_OUT, A, G_A}, {G_A, X, -1}};
    const int kinds[N_OPS] = {MG_LINEAR,        MG_LINEAR,       MG_LOSS,
                              MG_LINEAR_WEIGHT, MG_LINEAR_INPUT, MG_LINEAR_WEIGHT};
    mg_op ops[N_OPS] = {{0}};
    for (int i = 0; i < N_OPS; i++) {
        const int outer = i == 1 || i == 3 || i == 4;
        ops[i] = (mg_op){.kind = kinds[i],
                         .in = {where[i][0], where[i][1], -1, -1},
                         .out = {where[i][2], -1, -1},
                         .weight = outer ? second : 0,
                         .bias = outer ? last : first,
                         .first_parameter = -1};
    }
    ops[0].function = ops[4].gate = activation;
    ops[2].function = loss;
    *n = last + out;
    return mg_plan_new(isa, dtype, training ? N_OPS : FORWARD + 1, ops, training ? N_BUFFERS : G_OUT, buffers,
                       training ? 4 : 2, *n);
}

#endif
