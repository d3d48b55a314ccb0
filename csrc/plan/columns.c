/* The ops of layers that make something of each column by itself. */
#include "plan/plan.h"

int64_t mg_columns_parameters(const mg_op *op, int64_t in)
{
    const int64_t n = op->numbers, k = op->frequencies, m = op->width;
    int64_t sum = 0;
    switch (op->function) {
    case MG_SCALE:
    case MG_PARAMETRIC: return in;
    case MG_PERIODIC: return 2 * n * k + n * m * k + n * m;
    case MG_EMBEDDING:
        for (int64_t j = 0; j < n; j++)
            sum += (int64_t)op->constants[2 * j] * (int64_t)op->constants[2 * j + 1];
        return sum;
    default: return 0;
    }
}

/* Columns of the output for an input of so many. */
static int64_t made_columns(const mg_op *op, int64_t in)
{
    const int64_t n = op->numbers;
    int64_t sum = in - n;
    switch (op->function) {
    case MG_PERIODIC: return in - n + n * (op->width + 1);
    case MG_PIECEWISE: return in - n + n * op->width;
    case MG_EMBEDDING:
        for (int64_t j = 0; j < n; j++)
            sum += (int64_t)op->constants[2 * j + 1];
        return sum;
    default: return in;
    }
}

static int constants_fit(const mg_op *op)
{
    if (op->function == MG_SCALE || op->function == MG_PERIODIC || op->function == MG_PARAMETRIC)
        return 1;
    if (!op->constants)
        return 0;
    if (op->function == MG_EMBEDDING) {
        for (int64_t j = 0; j < 2 * op->numbers; j++)
            if (!(op->constants[j] >= 1 && op->constants[j] < (double)(1 << 24)))
                return 0;
        return 1;
    }
    for (int64_t j = 0; j < op->numbers; j++)
        for (int64_t t = 0; t < op->width; t++) {
            const double *edge = op->constants + j * (op->width + 1) + t;
            if (!(edge[1] > edge[0]))
                return 0;
        }
    return 1;
}

int mg_columns_fit(const mg_plan *plan, const mg_op *op)
{
    const int forward = op->kind == MG_COLUMNS;
    const int64_t in = plan->buffers[forward ? op->in[0] : op->in[1]].columns;
    const int64_t out = plan->buffers[forward ? op->out[0] : op->in[0]].columns;
    if (op->function < MG_SCALE || op->function > MG_PARAMETRIC || op->numbers < 0 || op->numbers > in)
        return 0;
    if (op->function == MG_PERIODIC && (op->frequencies < 1 || op->width < 1 || op->width > MG_MOST_WIDTH))
        return 0;
    if (op->function == MG_PARAMETRIC && (op->activation < 0 || op->activation > MG_MISH))
        return 0;
    if ((op->function == MG_PIECEWISE && op->width < 1) || !constants_fit(op) || out != made_columns(op, in))
        return 0;
    if (!forward && op->out[0] >= 0 && plan->buffers[op->out[0]].columns != in)
        return 0;
    const int64_t parameters = mg_columns_parameters(op, in);
    if (op->weight < 0)
        return parameters == 0;
    return parameters <= plan->n_parameters && op->weight <= plan->n_parameters - parameters;
}

/* This member's columns: of those that the layer works on, and of those that it passes on. */
static mg_columns columns_of(const mg_plan *plan, const mg_op *op, mg_matrix x, mg_team team)
{
    const int all = op->function == MG_SCALE || op->function == MG_PARAMETRIC;
    const int64_t numbers = all ? x.columns : op->numbers;
    const int64_t made = op->function == MG_PERIODIC    ? numbers * (op->width + 1)
                         : op->function == MG_PIECEWISE ? numbers * op->width
                                                        : numbers;
    const int codes = op->function == MG_EMBEDDING; /* which stand behind what is passed on */
    const int64_t at = op->weight < 0 ? 0 : op->weight * (int64_t)plan->real_size;
    return (mg_columns){.kind = op->function,
                        .numbers = numbers,
                        .frequencies = op->frequencies,
                        .width = op->width,
                        .activation = op->activation,
                        .slope = op->slope,
                        .accumulate = op->accumulate,
                        .parameters = op->weight < 0 ? NULL : plan->parameters + at,
                        .gradients = op->weight < 0 || !plan->gradients ? NULL : plan->gradients + at,
                        .constants = op->constants,
                        .columns = mg_share(numbers, team),
                        .passed = mg_share(x.columns - numbers, team),
                        .passed_in = codes ? 0 : numbers,
                        .passed_out = codes ? 0 : made};
}

void mg_run_columns(const mg_plan *plan, const mg_run *run, const mg_op *op, int accumulate, mg_team team)
{
    const mg_matrix first = mg_run_values(plan, run, op->in[0]);
    if (op->kind == MG_COLUMNS) {
        const mg_columns c = columns_of(plan, op, first, team);
        plan->kernels->columns_forward(&c, first, mg_run_values(plan, run, op->out[0]));
        return;
    }
    const mg_matrix x = mg_run_values(plan, run, op->in[1]);
    const mg_matrix out = op->out[0] < 0 ? (mg_matrix){0} : mg_run_values(plan, run, op->out[0]);
    mg_columns c = columns_of(plan, op, x, team);
    c.accumulate_parameters = accumulate;
    c.scale = run->scale;
    plan->kernels->columns_backward(&c, first, x, out);
}
