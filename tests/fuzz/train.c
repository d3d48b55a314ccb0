/* Networks of any shape, trained side by side and one by one: no step outside the memory that is theirs, and
 * the same bits, whatever the optimizer, the clipping, the order of rows, a label or a number may be. */
#include <math.h>

#include "bytes.h"

enum { MOST_LAYERS = 3, MOST_BUFFERS = 3 * MOST_LAYERS + 1, MOST_OPS = 3 * MOST_LAYERS };
enum { MOST_NETWORKS = 20, MOST_ROWS = 12, MOST_COUNT = 24 };

typedef struct {
    int isa, dtype, n_ops, n_buffers, states, rows;
    mg_op ops[MOST_OPS];
    mg_buffer buffers[MOST_BUFFERS];
    int64_t n_parameters;
    mg_optimizer optimizer;
    mg_constraints constraints;
    mg_batch data;
} shape;

/* What one network trains with, made twice: to be trained alone and with the others. */
typedef struct {
    mg_plan *plan;
    void *parameters, *gradients, *states[3];
    mg_optimizer optimizer;
    mg_result result;
    double totals[2];
} network;

static uint64_t state;

static double noise(double scale)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 40) / (1 << 23) - 1) * scale;
}

static size_t real_size(int dtype)
{
    return dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
}

static void *noisy(int dtype, int64_t count, double scale)
{
    char *to = malloc((size_t)count * real_size(dtype) + 1);
    for (int64_t i = 0; i < count; i++) {
        const double value = noise(scale);
        if (dtype == MG_FLOAT32)
            memcpy(to + (size_t)i * sizeof(float), &(float){(float)value}, sizeof(float));
        else
            memcpy(to + (size_t)i * sizeof value, &value, sizeof value);
    }
    return to;
}

static int32_t add_buffer(shape *s, int64_t columns)
{
    s->buffers[s->n_buffers] = (mg_buffer){.storage = s->n_buffers - 1, .width = columns, .columns = columns};
    return s->n_buffers++;
}

static mg_op *add_op(shape *s, int kind, int32_t in0, int32_t in1, int32_t out0)
{
    mg_op *op = &s->ops[s->n_ops++];
    *op = (mg_op){.kind = kind, .in = {in0, in1, -1, -1}, .out = {out0, -1, -1}, .first_parameter = -1};
    return op;
}

static int wants_input(int function)
{
    return function == MG_GELU || function == MG_SILU || function == MG_SOFTPLUS || function == MG_MISH;
}

/* A chain of Linears with their activations, a loss, and the way back. */
static void draw_shape(fuzz_bytes *b, shape *s)
{
    const int layers = 1 + fuzz_byte(b) % MOST_LAYERS;
    int32_t made[MOST_LAYERS + 1] = {add_buffer(s, 1 + fuzz_byte(b) % 9)}, reference[MOST_LAYERS + 1] = {0};
    for (int i = 0; i < layers; i++) {
        const int64_t in = s->buffers[made[i]].columns, out = 1 + fuzz_byte(b) % 18;
        made[i + 1] = add_buffer(s, out);
        mg_op *op = add_op(s, MG_LINEAR, made[i], -1, made[i + 1]);
        op->function = i + 1 < layers ? fuzz_byte(b) % (MG_MISH + 1) : MG_IDENTITY;
        op->slope = 0.25;
        reference[i + 1] = made[i + 1];
        if (wants_input(op->function))
            reference[i + 1] = op->out[1] = add_buffer(s, out);
        op->weight = s->n_parameters;
        s->n_parameters += in * out;
        op->bias = fuzz_byte(b) % 4 ? s->n_parameters : -1;
        s->n_parameters += op->bias < 0 ? 0 : out;
    }
    int32_t delta = add_buffer(s, s->buffers[made[layers]].columns);
    add_op(s, MG_LOSS, made[layers], -1, delta)->function = fuzz_byte(b) % 8 ? MG_CROSS_ENTROPY : MG_MSE;
    for (int i = layers - 1; i >= 0; i--) {
        const mg_op *forward = &s->ops[i];
        mg_op *op = add_op(s, MG_LINEAR_WEIGHT, delta, made[i], -1);
        op->weight = forward->weight, op->bias = forward->bias;
        if (!i)
            break;
        op = add_op(s, MG_LINEAR_INPUT, delta, -1, add_buffer(s, s->buffers[made[i]].columns));
        op->weight = forward->weight, op->bias = -1;
        op->gate = s->ops[i - 1].function, op->gate_slope = 0.25;
        op->in[1] = op->gate == MG_IDENTITY ? -1 : reference[i];
        delta = op->out[0];
    }
}

static void draw_optimizer(fuzz_bytes *b, shape *s)
{
    const int kind = fuzz_byte(b) % MG_OPTIMIZERS, more = fuzz_byte(b);
    s->optimizer = (mg_optimizer){.kind = kind,
                                  .isa = s->isa,
                                  .dtype = s->dtype,
                                  .nesterov = more & 1,
                                  .maximize = more >> 1 & 1,
                                  .decoupled = more >> 2 & 1,
                                  .lr = 0.05,
                                  .weight_decay = more & 8 ? 0.01 : 0,
                                  .momentum = more & 16 ? 0.5 : 0,
                                  .dampening = more & 32 ? 0.25 : 0,
                                  .alpha = 0.75,
                                  .beta1 = 0.75,
                                  .beta2 = 0.875,
                                  .eps = 1e-3,
                                  .lr_decay = 0.5,
                                  .momentum_decay = 0.25,
                                  .n = s->n_parameters,
                                  .largest = INFINITY,
                                  .momentum_product = 1};
    const int needed = kind == MG_SGD ? 0 : kind == MG_RMSPROP || kind == MG_ADAGRAD ? 1 : 2;
    const int most = kind == MG_SGD ? 1 : kind <= MG_ADAMW ? 3 : needed; /* momentum, centred, AMSGrad */
    s->states = more & 64 ? most : needed;
    const int clips = fuzz_byte(b);
    s->constraints = (mg_constraints){.l2 = clips % 16 == 15 ? 0.125 : 0,
                                      .clip_norm = clips & 1 ? 0.25 : INFINITY,
                                      .clip_value = clips & 2 ? 0.0625 : INFINITY,
                                      .max_norm = INFINITY};
}

static network new_network(const shape *s, uint64_t seed, double scale)
{
    network n = {.optimizer = s->optimizer};
    state = seed;
    n.plan = mg_plan_new(s->isa, s->dtype, s->n_ops, s->ops, s->n_buffers, s->buffers, s->n_buffers,
                         s->n_parameters);
    if (!n.plan)
        abort(); /* it is a plan as the Python side makes them */
    n.optimizer.parameters = n.parameters = noisy(s->dtype, s->n_parameters, scale);
    n.optimizer.gradients = n.gradients = noisy(s->dtype, s->n_parameters, 0);
    for (int i = 0; i < s->states; i++)
        n.optimizer.state[i] = n.states[i] = noisy(s->dtype, s->n_parameters, 0);
    mg_plan_bind(n.plan, n.parameters, n.gradients);
    return n;
}

static void free_network(network *n)
{
    mg_plan_free(n->plan);
    free(n->parameters), free(n->gradients);
    for (int i = 0; i < 3; i++)
        free(n->states[i]);
}

static void same_bits(const shape *s, const network *one, int status, const network *other, int other_status)
{
    const size_t size = (size_t)s->n_parameters * real_size(s->dtype);
    int same = status == other_status && !memcmp(one->parameters, other->parameters, size) &&
               one->optimizer.steps == other->optimizer.steps && one->result.steps == other->result.steps &&
               !memcmp(one->totals, other->totals, sizeof one->totals) &&
               mg_plan_step(one->plan) == mg_plan_step(other->plan);
    for (int i = 0; i < 3; i++)
        same &= !one->states[i] || !memcmp(one->states[i], other->states[i], size);
    if (!same)
        abort();
}

static void train(fuzz_bytes *b, const shape *s, int count)
{
    network alone[MOST_NETWORKS], together[MOST_NETWORKS];
    mg_training trainings[MOST_NETWORKS];
    int64_t index[MOST_NETWORKS][MOST_COUNT];
    const int64_t many = 1 + fuzz_byte(b) % MOST_COUNT, batch_rows = 1 + fuzz_byte(b) % MOST_ROWS;
    const int threads = 1 + fuzz_byte(b) % 2, one_order = fuzz_byte(b) % 2;
    for (int i = 0; i < count; i++) {
        const uint8_t byte = fuzz_byte(b);
        const double scale = byte % 16 == 15 ? 1e36 : byte % 16 == 14 ? 0 : 0.5;
        alone[i] = new_network(s, byte, scale), together[i] = new_network(s, byte, scale);
        for (int64_t j = 0; j < many; j++)
            index[i][j] = i && one_order ? index[0][j] : fuzz_byte(b) % s->rows;
        trainings[i] = (mg_training){.plan = together[i].plan,
                                     .data = &s->data,
                                     .index = index[i],
                                     .count = many,
                                     .batch_rows = batch_rows,
                                     .constraints = &s->constraints,
                                     .optimizer = &together[i].optimizer,
                                     .totals = together[i].totals,
                                     .result = &together[i].result};
    }
    mg_train_many(count, trainings, threads);
    for (int i = 0; i < count; i++) {
        const int status =
            mg_plan_train_batches(alone[i].plan, &s->data, index[i], many, batch_rows, &s->constraints,
                                  &alone[i].optimizer, 1, alone[i].totals, &alone[i].result);
        same_bits(s, &alone[i], status, &together[i], trainings[i].status);
    }
    for (int i = 0; i < count; i++)
        free_network(&alone[i]), free_network(&together[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = {data, data + size};
    shape s = {.isa = fuzz_isa(&b), .dtype = fuzz_byte(&b) % MG_DTYPES};
    draw_shape(&b, &s);
    draw_optimizer(&b, &s);
    s.rows = 1 + fuzz_byte(&b) % MOST_ROWS;
    const int64_t in = s.buffers[0].columns, gap = fuzz_byte(&b) % 3;
    state = fuzz_byte(&b);
    const int wild = fuzz_byte(&b);
    void *x = noisy(s.dtype, (s.rows - 1) * (in + gap) + in, wild % 16 == 15 ? 1e38 : 2);
    void *targets = NULL;
    int64_t labels[MOST_ROWS], last = 0;
    for (int i = 0; i < s.n_ops; i++)
        if (s.ops[i].kind == MG_LOSS) {
            last = s.buffers[s.ops[i].in[0]].columns;
            if (s.ops[i].function == MG_MSE)
                targets = noisy(s.dtype, s.rows * last, 1);
        }
    for (int i = 0; i < s.rows; i++)
        labels[i] = wild % 32 == 16 ? fuzz_number(&b, 0, last) : fuzz_byte(&b) % last;
    s.data = (mg_batch){.x = x,
                        .x_ld = in + gap,
                        .rows = s.rows,
                        .labels = targets ? NULL : labels,
                        .targets = targets,
                        .targets_ld = last,
                        .total_weight = s.rows};
    train(&b, &s, 1 + fuzz_byte(&b) % MOST_NETWORKS);
    free(x), free(targets);
    return 0;
}
