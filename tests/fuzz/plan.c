/* Plans of any ops and buffers: mg_plan_new refuses them, or every call works on them without a step
 * outside the memory that is theirs. */
#include "bytes.h"

enum { MOST_OPS = 8, MOST_BUFFERS = 6, MOST_STORAGES = 3, MOST_PARAMETERS = 60, MOST_ROWS = 5 };

static void draw_buffers(fuzz_bytes *b, mg_buffer *buffers, int count)
{
    const int64_t usual = fuzz_number(b, 1, 20);
    for (int i = 0; i < count; i++) {
        const int same = fuzz_byte(b) % 4;
        buffers[i].storage = i ? (int32_t)fuzz_number(b, 0, MOST_STORAGES - 1) : -1;
        buffers[i].columns = same ? usual : fuzz_number(b, 0, 20);
        buffers[i].offset = same > 1 ? 0 : fuzz_number(b, 0, 8);
        buffers[i].width = same > 1 ? buffers[i].columns : fuzz_number(b, 0, 30);
    }
}

static void draw_op(fuzz_bytes *b, mg_op *op, int n_buffers, mg_program *program)
{
    /* The inputs and outputs that a kind has, which it gets as a rule. */
    static const uint8_t ins[MG_KINDS] = {
        [MG_LINEAR] = 1,       [MG_ACTIVATE] = 1,
        [MG_SOFTMAX] = 1,      [MG_ADD] = 2,
        [MG_MIX] = 3,          [MG_MAP] = 1,
        [MG_COLUMNS] = 1,      [MG_DROPOUT] = 1,
        [MG_LOSS] = 1,         [MG_LINEAR_WEIGHT] = 2,
        [MG_LINEAR_INPUT] = 1, [MG_ACTIVATE_BACKWARD] = 2,
        [MG_MIX_BACKWARD] = 4, [MG_SOFTMAX_BACKWARD] = 2,
        [MG_MAP_BACKWARD] = 2, [MG_COLUMNS_BACKWARD] = 2,
    };
    static const uint8_t outs[MG_KINDS] = {
        [MG_LINEAR] = 1,
        [MG_ACTIVATE] = 1,
        [MG_SOFTMAX] = 1,
        [MG_ADD] = 1,
        [MG_MIX] = 1,
        [MG_MAP] = 1,
        [MG_COLUMNS] = 1,
        [MG_DROPOUT] = 1,
        [MG_LOSS] = 1,
        [MG_LINEAR_INPUT] = 1,
        [MG_ACTIVATE_BACKWARD] = 1,
        [MG_MIX_BACKWARD] = 3,
        [MG_SOFTMAX_BACKWARD] = 1,
        [MG_MAP_BACKWARD] = 1,
        [MG_COLUMNS_BACKWARD] = 1,
    };
    memset(op, 0, sizeof *op);
    op->kind = (int32_t)fuzz_number(b, 0, MG_KINDS - 1);
    op->function = (int32_t)fuzz_number(b, 0, MG_GELU);
    const int usual = op->kind >= 0 && op->kind < MG_KINDS && fuzz_byte(b) % 8;
    for (int i = 0; i < MG_OP_INPUTS; i++)
        op->in[i] = usual && i >= ins[op->kind] ? -1 : (int32_t)fuzz_number(b, 0, n_buffers - 1);
    for (int i = 0; i < MG_OP_OUTPUTS; i++)
        op->out[i] = usual && i >= outs[op->kind] ? -1 : (int32_t)fuzz_number(b, 0, n_buffers - 1);
    const int more = fuzz_byte(b);
    if (more & 1)
        op->in[1] = (int32_t)fuzz_number(b, 0, n_buffers - 1);
    if (more & 2)
        op->out[1] = (int32_t)fuzz_number(b, 0, n_buffers - 1);
    op->accumulate = more >> 2 & 1;
    op->gate = more & 8 ? (int32_t)fuzz_number(b, 0, MG_GELU) : MG_IDENTITY;
    op->stream = (int32_t)fuzz_number(b, 0, 3);
    op->target_columns = (int32_t)fuzz_number(b, 1, 4);
    op->samples = (int32_t)fuzz_number(b, 1, 4);
    op->numbers = (int32_t)fuzz_number(b, 0, 4);
    op->frequencies = (int32_t)fuzz_number(b, 0, 3);
    op->width = (int32_t)fuzz_number(b, 0, 4);
    op->weight = fuzz_number(b, 0, 20);
    op->bias = more & 16 ? -1 : fuzz_number(b, 0, 20);
    op->first_parameter = fuzz_number(b, -1, 10);
    op->slope = op->gate_slope = 0.25;
    op->rate = (double)fuzz_number(b, 0, 9) / 8;
    op->program = more & 32 ? program : NULL;
}

/* f(x) = p x: an activation with one parameter, as a Map has them. */
static mg_program *times_parameter(int isa, int dtype)
{
    static const int32_t forward[] = {MG_OP_INPUT, 2, 0, 0, 0, MG_OP_MUL, 2, 1, 0, ~0, MG_OP_OUTPUT, 1, 0, 1};
    static const int32_t backward[] = {MG_OP_OUTPUT, 1, 0,  2,           -1, 1, 4, MG_OP_MUL, 2, 1, 2,  -1, 0,
                                       ~0,           6, -2, MG_OP_INPUT, 2,  0, 3, -1,        0, 0, -1, -1};
    static const int64_t columns[] = {1};
    const mg_program_source source = {.n_parameters = 1,
                                      .n_arguments = 1,
                                      .n_outputs = 1,
                                      .slots = 4,
                                      .run_slots = 2,
                                      .argument_columns = columns,
                                      .forward = {forward, 14},
                                      .backward = {backward, 25},
                                      .run = {forward, 14}};
    return mg_program_new(isa, dtype, &source);
}

typedef struct {
    mg_batch batch;
    void *x, *labels, *targets, *weights;
} drawn_batch;

static drawn_batch draw_batch(fuzz_bytes *b, int dtype, int64_t columns, int64_t target_columns)
{
    drawn_batch d = {0};
    const int64_t rows = 1 + fuzz_byte(b) % MOST_ROWS, more = fuzz_byte(b) % 3;
    d.x = fuzz_reals(dtype, (rows - 1) * (columns + more) + columns);
    d.batch = (mg_batch){.x = d.x, .x_ld = columns + more, .rows = rows, .total_weight = (double)rows};
    const int kind = fuzz_byte(b);
    if (kind & 1) {
        int64_t *labels = d.labels = malloc((size_t)rows * sizeof *labels);
        for (int64_t i = 0; i < rows; i++)
            labels[i] = fuzz_number(b, 0, columns);
        d.batch.labels = labels;
    }
    if (kind & 2) {
        d.batch.targets = d.targets = fuzz_reals(dtype, rows * target_columns);
        d.batch.targets_ld = target_columns;
    }
    if (kind & 4)
        d.batch.weights = d.weights = fuzz_reals(dtype, rows);
    return d;
}

static void use(mg_plan *plan, const drawn_batch *d, int dtype, int64_t output, int threads)
{
    mg_result result;
    if (mg_plan_check(plan, &d->batch, &result) == MG_BAD_ARGUMENT)
        return;
    void *out = fuzz_reals(dtype, d->batch.rows * output);
    mg_plan_forward(plan, &d->batch, threads, &result);
    mg_plan_predict(plan, &d->batch, out, threads, &result);
    mg_plan_evaluate(plan, &d->batch, threads, &result);
    if (mg_plan_loss(plan, &d->batch, threads, &result) == MG_OK) {
        mg_plan_backward(plan, 0, threads);
        mg_plan_backward(plan, 1, threads);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = {data, data + size};
    const int isa = fuzz_isa(&b), dtype = fuzz_byte(&b) % MG_DTYPES, threads = 1 + fuzz_byte(&b) % 2;
    mg_buffer buffers[MOST_BUFFERS];
    mg_op ops[MOST_OPS];
    const int n_buffers = 1 + fuzz_byte(&b) % MOST_BUFFERS, n_ops = fuzz_byte(&b) % (MOST_OPS + 1);
    mg_program *program = times_parameter(isa, dtype);
    draw_buffers(&b, buffers, n_buffers);
    for (int i = 0; i < n_ops; i++)
        draw_op(&b, &ops[i], n_buffers, program);
    const int64_t n_parameters = fuzz_byte(&b) % (MOST_PARAMETERS + 1);
    mg_plan *plan = mg_plan_new(isa, dtype, n_ops, ops, n_buffers, buffers, MOST_STORAGES, n_parameters);
    int64_t widest = 0, storage = 0;
    for (int i = 0; i < n_buffers; i++) {
        widest = buffers[i].columns > widest ? buffers[i].columns : widest;
        storage = buffers[i].width > storage ? buffers[i].width : storage;
    }
    if (plan && storage < 1000) { /* else it takes gigabytes, as it may */
        void *parameters = fuzz_reals(dtype, n_parameters), *gradients = fuzz_reals(dtype, n_parameters);
        mg_plan_bind(plan, parameters, gradients);
        drawn_batch d = draw_batch(&b, dtype, buffers[0].columns, widest > 4 ? widest : 4);
        use(plan, &d, dtype, widest, threads);
        free(d.x), free(d.labels), free(d.targets), free(d.weights);
        free(parameters), free(gradients);
    }
    mg_plan_free(plan);
    mg_program_free(program);
    return 0;
}
