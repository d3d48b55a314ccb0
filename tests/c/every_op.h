/* A network with an op of every kind, as a recipe for plans. */
#ifndef EVERY_OP_H
#define EVERY_OP_H

#include "guard.h"

/* Its buffers: values first, then their gradients; h1 is hidden + 1.
 *
 *     X -> linear, gelu: A (its input Z kept) -> linear: B -> softmax: S -> leaky relu: L -> linear, sigmoid: T
 *     mix of S and L by T: M -> dropout: D, sum with B: R
 *     B and L side by side: C -> linear, plus R: E -> linear: OUT -> loss */
enum { X, A, Z, B, S, L, T, M, D, R, C, E, OUT, N_VALUES };
enum { GA = N_VALUES, GB, GS, GL, GT, GM, GC, GE, GOUT, N_BUFFERS };
enum { N_FORWARD = 10, THE_LOSS = N_FORWARD, N_BACKWARD = 14, N_OPS = N_FORWARD + 1 + N_BACKWARD };

typedef struct {
    int isa, n_ops, n_buffers, n_storages;
    mg_op ops[N_OPS];
    mg_buffer buffers[N_BUFFERS];
    int64_t n_parameters;
} recipe;

static mg_op op_of(int kind, int function, int in0, int in1, int out0)
{
    return (mg_op){.kind = kind,
                   .function = function,
                   .in = {in0, in1, -1, -1},
                   .out = {out0, -1, -1},
                   .weight = -1,
                   .first_parameter = -1,
                   .bias = -1};
}

/* The weight and bias of `like`. */
static mg_op sharing(mg_op op, const mg_op *like)
{
    op.weight = like->weight;
    op.bias = like->bias;
    return op;
}

static void make_buffers(recipe *r, int64_t inputs, int64_t hidden, int64_t outputs)
{
    const int64_t h1 = hidden + 1;
    const int64_t columns[N_BUFFERS] = {inputs, hidden,  hidden, h1, h1, h1, h1, h1, h1,     h1, 2 * h1,
                                        h1,     outputs, hidden, h1, h1, h1, h1, h1, 2 * h1, h1, outputs};
    for (int i = 0; i < N_BUFFERS; i++) {
        mg_buffer *b = &r->buffers[i];
        *b = (mg_buffer){.storage = -1, .width = columns[i], .columns = columns[i]};
        if (i != X && i != B && i != L && i != GB && i != GL)
            b->storage = r->n_storages++;
    }
    const int inside[4][2] = {{B, C}, {L, C}, {GB, GC}, {GL, GC}};
    for (int i = 0; i < 4; i++) {
        mg_buffer *b = &r->buffers[inside[i][0]];
        b->storage = r->buffers[inside[i][1]].storage;
        b->width = 2 * h1;
        b->offset = i % 2 ? h1 : 0;
    }
}

static recipe make_recipe(int isa, int64_t inputs, int64_t hidden, int64_t outputs, int loss, double rate,
                          int training)
{
    recipe r = {.isa = isa, .n_ops = training ? N_OPS : N_FORWARD + 1, .n_buffers = N_BUFFERS};
    const int64_t h1 = hidden + 1;
    make_buffers(&r, inputs, hidden, outputs);
    mg_op *o = r.ops;
    o[0] = op_of(MG_LINEAR, MG_GELU, X, -1, A), o[0].out[1] = Z;
    o[1] = op_of(MG_LINEAR, MG_IDENTITY, A, -1, B);
    o[2] = op_of(MG_SOFTMAX, 0, B, -1, S);
    o[3] = op_of(MG_ACTIVATE, MG_LEAKY_RELU, S, -1, L), o[3].slope = 0.5;
    o[4] = op_of(MG_LINEAR, MG_SIGMOID, L, -1, T);
    o[5] = op_of(MG_MIX, 0, S, T, M), o[5].in[2] = L;
    o[6] = op_of(MG_DROPOUT, 0, M, -1, D), o[6].rate = rate, o[6].stream = 3;
    o[7] = op_of(MG_ADD, 0, D, B, R);
    o[8] = op_of(MG_LINEAR, MG_IDENTITY, C, R, E);
    o[9] = op_of(MG_LINEAR, MG_IDENTITY, E, -1, OUT);
    const int64_t in[] = {inputs, hidden, 0, 0, h1, 0, 0, 0, 2 * h1, h1},
                  out[] = {hidden, h1, 0, 0, h1, 0, 0, 0, h1, outputs};
    for (int i = 0; i < N_FORWARD; i++)
        if (o[i].kind == MG_LINEAR) {
            o[i].weight = r.n_parameters;
            r.n_parameters += in[i] * out[i];
            if (i == 1) /* without a bias */
                continue;
            o[i].bias = r.n_parameters;
            r.n_parameters += out[i];
        }
    o[THE_LOSS] = op_of(MG_LOSS, loss, OUT, -1, training ? GOUT : -1);
    mg_op *back = o + THE_LOSS + 1;
    back[0] = sharing(op_of(MG_LINEAR_WEIGHT, 0, GOUT, E, -1), &o[9]);
    back[1] = sharing(op_of(MG_LINEAR_INPUT, 0, GOUT, -1, GE), &o[9]);
    back[2] = sharing(op_of(MG_LINEAR_WEIGHT, 0, GE, C, -1), &o[8]);
    back[3] = sharing(op_of(MG_LINEAR_INPUT, 0, GE, -1, GC), &o[8]);
    back[4] = op_of(MG_ADD, 0, GB, GE, GB);
    back[5] = op_of(MG_DROPOUT, 0, GE, -1, GM), back[5].rate = rate, back[5].stream = 3;
    back[6] = op_of(MG_MIX_BACKWARD, 0, GM, S, GS), back[6].in[2] = T, back[6].in[3] = L;
    back[6].out[1] = GT, back[6].out[2] = GL, back[6].accumulate = 1;
    back[7] = sharing(op_of(MG_LINEAR_WEIGHT, 0, GT, L, -1), &o[4]);
    back[8] = sharing(op_of(MG_LINEAR_INPUT, 0, GT, -1, GL), &o[4]), back[8].accumulate = 1;
    back[9] = op_of(MG_ACTIVATE_BACKWARD, MG_LEAKY_RELU, GL, L, GS), back[9].slope = 0.5,
    back[9].accumulate = 1;
    back[10] = op_of(MG_SOFTMAX_BACKWARD, 0, GS, S, GB), back[10].accumulate = 1;
    back[11] = sharing(op_of(MG_LINEAR_WEIGHT, 0, GB, A, -1), &o[1]);
    back[12] = sharing(op_of(MG_LINEAR_INPUT, 0, GB, Z, GA), &o[1]), back[12].gate = MG_GELU;
    back[13] = sharing(op_of(MG_LINEAR_WEIGHT, 0, GA, X, -1), &o[0]);
    return r;
}

static mg_plan *plan_of(const recipe *r)
{
    return mg_plan_new(r->isa, dtype, r->n_ops, r->ops, r->n_buffers, r->buffers, r->n_storages,
                       r->n_parameters);
}

#endif
