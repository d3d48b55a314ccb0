/* The whole interface of the C core: plain declarations, which build_ffi.py gives to cffi as they are.
 *
 * Matrices are row-major, `ld` (leading dimension) is the distance between rows in elements; batches
 * are (rows, features), weights (out_features, in_features).  `void *` points to float or double,
 * as `dtype` says.  The core neither prints, exits, reads the environment nor keeps mutable state of
 * its own: all of it belongs to a plan, and two threads may run two plans at once.
 *
 * Functions that can fail return a status; nothing the caller can see has changed then, but for the
 * gradients of a failed mg_plan_train, which are overwritten by the next one. */

enum { MG_FLOAT32, MG_FLOAT64, MG_DTYPES };

enum { MG_GENERIC, MG_AVX2, MG_AVX512, MG_NEON, MG_ISAS };

enum {
    MG_OK,
    MG_OUT_OF_MEMORY,
    MG_BAD_ARGUMENT,     /* a bug in the caller: sizes or indices that do not fit together */
    MG_INPUT_NOT_FINITE, /* at mg_result.row, .column */
    MG_LABEL_OUT_OF_RANGE,
    MG_TARGET_NOT_FINITE,
    MG_TARGET_NOT_PROBABILITY, /* row: negative, or the sum is not 1 */
    MG_TARGET_OUT_OF_RANGE,    /* of MG_BCE, whose loss would have no lower bound: not 0 to 1 */
    MG_LOSS_NOT_FINITE,        /* training stops before the update */
    MG_STEP_NOT_FINITE,        /* gradients, or what an update would make, are not: it stops there too */
    MG_SPARSE_NOT_VALID, /* mg_result.row: its entries lie outside the arrays, or a column does (.column) */
    MG_NOT_ALIGNED       /* an array begins between two of its elements: a copy of it would not */
};

/* Element-wise functions, activations first: y = f(x). */
enum {
    MG_IDENTITY,
    MG_RELU,
    MG_LEAKY_RELU, /* slope * x for x <= 0 */
    MG_SIGMOID,
    MG_TANH,
    MG_GELU, /* x * Phi(x), Phi the normal distribution function */
    MG_SILU, /* x * sigmoid(x) */
    MG_SOFTPLUS,
    MG_ELU, /* slope * (e^x - 1) for x <= 0 */
    MG_SELU,
    MG_MISH, /* x * tanh(softplus(x)); the last activation */
    MG_EXP,
    MG_LOG,
    MG_GELU_DERIVATIVE,
    MG_FUNCTIONS
};

enum {
    MG_CROSS_ENTROPY,
    MG_MSE,
    MG_BCE,
    MG_MAE,
    MG_HUBER,
    MG_LOSSES,
    MG_PROGRAM_LOSS = MG_LOSSES /* of a plan: a scalar program of output and target */
};

/* What MG_COLUMNS makes of each column by itself; n `numbers` come first, and what is behind them is passed
 * on as it is, but for MG_EMBEDDING, whose n codes come last.
 *
 * SCALE      x_j s_j                                                  parameters: s (columns)
 * PERIODIC   x_j, b_jo + sum_k w_jok cos(2 pi (f_jk x_j + p_jk)), o < `width`, k < `frequencies`
 *                                                                     f, p (n,k)  w (n,width,k)  b (n,width)
 * PIECEWISE  clip((x_j - e_t) / (e_(t+1) - e_t), 0, 1), t < `width`, the first and the last not clipped
 *            outwards                                                 constants: e (n, width + 1), rising
 * EMBEDDING  row x_j of table j, zeros for a code that it has not     constants: rows and columns of each
 *                                                                     parameters: the tables
 * PARAMETRIC x_j + s_j (f(x_j) - x_j), f an activation                parameters: s (columns) */
enum { MG_SCALE, MG_PERIODIC, MG_PIECEWISE, MG_EMBEDDING, MG_PARAMETRIC };
enum { MG_MOST_WIDTH = 16 }; /* of PERIODIC */

/* What an op of a plan does with its buffers: those of the forward pass, the loss, those of the backward
 * pass.  A plan holds the ops of a whole training step in the order in which they run; which gradients
 * there are and where they add up has been decided by who made the plan.
 * `(+)=` is += where `accumulate` is set. */
enum {
    MG_LINEAR,        /* out0 = f(in0 @ W.T + b) + in1, out1 = what f is applied to; in1, out1 may be -1 */
    MG_ACTIVATE,      /* out0 = f(in0); the identity copies */
    MG_SOFTMAX,       /* out0 = softmax(in0) over the columns */
    MG_ADD,           /* out0 = in0 + in1 */
    MG_MIX,           /* out0 = in1 * in0 + (1 - in1) * in2 */
    MG_MAP,           /* out0 = program(in0), element by element */
    MG_COLUMNS,       /* out0 = what `function` makes of the columns of in0 */
    MG_DROPOUT,       /* out0 (+)= in0 * mask / (1 - rate), for values as for gradients */
    MG_LOSS,          /* in0 against the targets; out0 = its gradient, may be -1; gated */
    MG_LINEAR_WEIGHT, /* dW (+)= scale * in0.T @ in1, db (+)= scale * sum of in0's rows; in0 is delta */
    MG_LINEAR_INPUT,  /* out0 (+)= in0 @ W; gated */
    MG_ACTIVATE_BACKWARD, /* out0 (+)= in0 * f'(in1); in1 is f's output, or its input (see gate) */
    MG_SOFTMAX_BACKWARD,  /* out0 (+)= in1 * (in0 - sum_j in0_j in1_j); in1 is the softmax */
    MG_MIX_BACKWARD,      /* of g, h, t, x: out0 = g t, out1 = g (h - x) t (1 - t), out2 (+)= g (1 - t) */
    MG_MAP_BACKWARD,      /* out0 (+)= in0 * program'(in1); out0 may be -1 */
    MG_COLUMNS_BACKWARD,  /* of g, x: out0 (+)= the gradient of x, may be -1; parameter gradients (+)= */
    MG_PROGRAM_GRADIENTS, /* the gradients of the program's parameters += what the op before it has summed up */
    MG_KINDS
};

typedef struct mg_program mg_program;

enum { MG_OP_INPUTS = 4, MG_OP_OUTPUTS = 3 };

/* MG_LOSS and MG_LINEAR_INPUT may finish with out0 *= derivative of the activation `gate`, computed
 * from in1: the gradient of an activation's output becomes the documents' delta. */
typedef struct {
    int32_t kind;
    int32_t function;                    /* activation, loss, or what MG_COLUMNS makes */
    int32_t in[4], out[3];               /* buffers, -1 for none */
    int32_t accumulate;                  /* += */
    int32_t gate;                        /* MG_IDENTITY: none */
    int32_t stream;                      /* of random numbers, a dropout's own */
    int32_t target_columns;              /* of MG_PROGRAM_LOSS */
    int32_t samples;                     /* of MG_PROGRAM_GRADIENTS: in each row */
    int32_t numbers, frequencies, width; /* of MG_COLUMNS */
    int32_t activation;                  /* of MG_PARAMETRIC, with its `slope` */
    int64_t weight, bias;                /* offsets into the parameters; no bias: -1 */
    int64_t first_parameter;  /* of the program's, an offset into the parameters; without any: -1 */
    double slope, gate_slope; /* of leaky_relu */
    double rate;              /* of a dropout */
    const double *constants;  /* of MG_COLUMNS, not owned */
    mg_program *program;      /* not owned */
} mg_op;

/* A matrix (rows, columns): columns [offset, offset + columns) of rows that are `width` wide, in a
 * storage that buffers share one after the other, or side by side.  Buffer 0 is the network's input
 * and lies with the caller: its storage is -1. */
typedef struct {
    int32_t storage;
    int64_t width, offset, columns;
} mg_buffer;

typedef struct mg_plan mg_plan;

/* Steps whose loss and norm mg_plan_train_batches leaves behind. */
#define MG_REMEMBERED 5

/* What one call has to say besides its status. */
typedef struct {
    double loss;
    int64_t row, column;  /* where the offending element stands */
    double right;         /* of mg_plan_evaluate: the share of rows whose largest output is their class */
    int32_t status;       /* of mg_plan_loss_rows */
    double penalty;       /* at the weights before the update */
    double gradient_norm; /* before clipping, penalties included */
    /* Of mg_plan_train_batches: the steps made, and of step i the loss and the norm, at i % MG_REMEMBERED. */
    int64_t steps;
    double losses[MG_REMEMBERED], gradient_norms[MG_REMEMBERED];
} mg_result;

/* Sparse rows: of row i the entries [starts[i], starts[i + 1]), in any order; doubles add up.  All is checked. */
typedef struct {
    int32_t index_bytes; /* 4 or 8: starts (rows + 1) and columns are int32_t or int64_t */
    const void *starts, *columns, *values;
    int64_t entries; /* of columns and values */
} mg_sparse;

/* A batch.  labels (rows), int64_t, or targets (rows, outputs); weights (rows) or NULL; x or `sparse` rows. */
typedef struct {
    const mg_sparse *sparse;
    const void *x;
    int64_t x_ld, rows;
    const void *labels;
    const void *targets;
    int64_t targets_ld;
    const void *weights;
    double total_weight; /* sum of the weights, or rows: what the mean divides by */
} mg_batch;

/* An optimizer: its rule, its settings, and the flat arrays that it works on.  g is the gradient, t the
 * number of the step (1, 2, ...), p a parameter; as PyTorch has it:
 *
 * SGD      g += weight_decay p;  v = momentum v + (1 - dampening) g  (g at the first step; `momentum` 0
 *          has no state);  p -= lr (nesterov ? g + momentum v : v)              state: v or NULL
 * RMSPROP  g += weight_decay p;  s = alpha s + (1 - alpha) g^2;  m = alpha m + (1 - alpha) g
 *          v = momentum v + g / (sqrt(s - m^2) + eps);  p -= lr v   state: s, v or NULL, m or NULL (0)
 * ADAM     g += weight_decay p;  m = beta1 m + (1 - beta1) g;  s = beta2 s + (1 - beta2) g^2
 *          p -= lr m / (1 - beta1^t) / (sqrt(s / (1 - beta2^t)) + eps)
 *                                           state: m, s, and the largest s so far (which then takes its
 *                                           place: AMSGrad) or NULL
 * ADAMW    the same, but the decay is p -= lr weight_decay p, before the rest.
 * ADAGRAD  g += weight_decay p;  s += g^2;  p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)    state: s
 * ADAMAX   g += weight_decay p;  m = beta1 m + (1 - beta1) g;  u = max(beta2 u, |g| + eps)
 *          p -= lr / (1 - beta1^t) m / u                                                       state: m, u
 * NADAM    m and s as of adam;  mu_t = beta1 (1 - 0.96^(t momentum_decay) / 2), P_t = mu_1 ... mu_t
 *          p -= lr ((1 - mu_t) / (1 - P_t) g + mu_t+1 / (1 - P_t+1) m) / (sqrt(s / (1 - beta2^t)) + eps)
 * RADAM    m and s as of adam;  r = 2 / (1 - beta2) - 1, r_t = r - 2 t beta2^t / (1 - beta2^t)
 *          p -= lr m / (1 - beta1^t) (r_t > 5 ? sqrt((r_t - 4) (r_t - 2) r / ((r - 4) (r - 2) r_t)) *
 *                                               sqrt(1 - beta2^t) / (sqrt(s) + eps) : 1)
 *
 * `maximize`: -g for g, before the decay.  `decoupled`: of nadam and radam, the decay of adamw. */
enum { MG_SGD, MG_RMSPROP, MG_ADAM, MG_ADAMW, MG_ADAGRAD, MG_ADAMAX, MG_NADAM, MG_RADAM, MG_OPTIMIZERS };

typedef struct mg_optimizer {
    int32_t kind, isa, dtype;
    int32_t nesterov, maximize, decoupled;
    int32_t epsilon_hat; /* of adam: eps is added to sqrt(s), before the correction of s */
    double lr, weight_decay, momentum, dampening, alpha, beta1, beta2, eps, lr_decay, momentum_decay;
    int64_t n; /* elements of each array */
    void *parameters;
    void *gradients;
    void *state[3];
    int64_t steps;  /* made so far */
    double largest; /* no parameter and no state is larger, as the last step left them; else infinity */
    double momentum_product; /* of nadam: P_t of the steps made so far, 1 at first */
    int64_t n_slices;        /* 0: all elements have the settings above */
    const struct mg_slice *slices;
} mg_optimizer;

/* Elements [first, last) whose settings are those of another optimizer, of which nothing but them and its
 * momentum_product is used.  Slices come in order; elements in none of them stay as they are. */
typedef struct mg_slice {
    int64_t first, last;
    mg_optimizer *group;
} mg_slice;

/* A weight matrix (rows, columns) among the parameters. */
typedef struct {
    int64_t offset, rows, columns;
} mg_weight;

/* What surrounds an optimizer's step, in this order: the penalty l2/2 ||W||^2 + l1 ||W||_1 on weights, not
 * on biases; gradients scaled down to the norm clip_norm, then held within +-clip_value; the step; each
 * row of a weight matrix scaled down to the norm max_norm.  INFINITY (of penalties 0) for none. */
typedef struct {
    double l1, l2, clip_norm, clip_value, max_norm;
    int64_t n_weights;
    const mg_weight *weights; /* in the order of their offsets */
} mg_constraints;

/* Sums over rows that no step has been made from yet: 0 if there are none.  Gradients and loss are sums of
 * weights times `unit`, a power of two (see mg_weight_unit in csrc/plan/plan.h). */
typedef struct {
    double weight, loss, unit;
} mg_sums;

/* ---- the machine ---- */
int mg_isa_supported(int isa);
int mg_isa_best(void);
int mg_has_threads(void);
int mg_max_threads(void); /* the limit of calls from this thread: 256 unless it has been set */
void mg_set_max_threads(int threads);
void mg_set_patient(int patient); /* calls wait for all threads that they ask for: for tests */
const char *mg_compiler(void);
const char *mg_source_hash(void); /* of the C sources that this was compiled from */

/* ---- plans ---- */
mg_plan *mg_plan_new(int isa, int dtype, int n_ops, const mg_op *ops, int n_buffers, const mg_buffer *buffers,
                     int n_storages, int64_t n_parameters);
void mg_plan_free(mg_plan *plan);
void mg_plan_bind(mg_plan *plan, void *parameters, void *gradients);
/* What dropout masks depend on besides the op and the place: a seed, and a count of training passes,
 * which each mg_plan_loss or mg_plan_train of a plan with a backward pass moves on by one. */
void mg_plan_set_random(mg_plan *plan, uint64_t seed, uint64_t step);
/* The place in the whole batch of the first row that the plan is given: 0, unless a batch is shared out. */
void mg_plan_set_first_row(mg_plan *plan, int64_t row);
/* What the rates of all dropouts are multiplied by from now on, 0 to 1: 1 at first. */
void mg_plan_set_dropout(mg_plan *plan, double factor);
uint64_t mg_plan_step(const mg_plan *plan);

/* A plan without a backward pass predicts from now on with its parameters as they are now, in a copy that is
 * laid out for reading: the largest part of the time of a few rows.  `like` is NULL, or a plan of the same ops
 * and dtype, frozen already, whose copy is used then and which has to live as long.  What has been bound stays
 * bound: biases, and the parameters of programs, are read where they lie.  Binding other parameters ends it. */
int mg_plan_freeze(mg_plan *plan, const mg_plan *like);

/* Looks for the first element of a batch that does not belong there, and does nothing else. */
int mg_plan_check(mg_plan *plan, const mg_batch *batch, mg_result *result);
/* The ops before the loss; or those and the loss. */
int mg_plan_forward(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result);
int mg_plan_loss(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result);
/* The same for contiguous rows of x, with labels or with targets, the other NULL, all of weight 1: a small
 * network's step is so short that filling in an mg_batch shows.  Returns the loss; result->status says
 * whether it is one. */
double mg_plan_loss_rows(mg_plan *plan, const void *x, int64_t rows, const void *labels, const void *targets,
                         int threads, mg_result *result);
/* The ops behind the loss; dL/dW and dL/db go to the gradients, overwriting them or, with
 * `accumulate`, adding to them. */
int mg_plan_backward(mg_plan *plan, int accumulate, int threads);
/* out (rows, outputs) = the network's output, computed in blocks of rows; keeps nothing. */
int mg_plan_predict(mg_plan *plan, const mg_batch *batch, void *out, int threads, mg_result *result);
/* The same for contiguous rows of x. */
int mg_plan_predict_rows(mg_plan *plan, const void *x, int64_t rows, void *out, int threads,
                         mg_result *result);
/* The mean loss of such a plan, in the same blocks, and for cross-entropy the share of right classes. */
int mg_plan_evaluate(mg_plan *plan, const mg_batch *batch, int threads, mg_result *result);
/* One training step on the rows `index` of a data set that mg_plan_check has passed: gather, forward,
 * backward, update.  The optimizer is one for the parameters and gradients that the plan is bound to.
 *
 * Micro-batches: without an optimizer there is no update, but gradients and `sums` keep what the rows add
 * up to.  A call that finds something in `sums` adds its own rows, and makes its step from the mean over
 * all of them; result->loss is the mean so far.  After a step, and after a failure, `sums` is empty.
 * Rows whose weights are all 0, where `sums` is empty, change nothing: result->loss is 0, there is no step. */
int mg_plan_train(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count,
                  const mg_constraints *constraints, mg_optimizer *optimizer, mg_sums *sums, int threads,
                  mg_result *result);
/* The same for many batches of `batch_rows` rows each, the last as many as are left: steps one after the
 * other, in the order of `index`.  The penalties are those of a sum over rows: each batch divides l1 and l2
 * by its weight.  Batches of weight 0 are left out.  totals[0] += rows * loss, totals[1] += rows * penalty,
 * batch by batch; `result` remembers the last steps. */
int mg_plan_train_batches(mg_plan *plan, const mg_batch *data, const int64_t *index, int64_t count,
                          int64_t batch_rows, const mg_constraints *constraints, mg_optimizer *optimizer,
                          int threads, double *totals, mg_result *result);
/* Epochs of so many rows each, one behind the other in `index`: batches end where an epoch ends.  The loss of
 * an epoch is (factor totals[0] + totals[1] / divisor + added) / rows; the totals begin anew after it.  Training
 * stops after an epoch that is, beyond `patience`, one more in a row whose loss is above best - tol. */
typedef struct {
    int64_t rows, done; /* of the epoch at hand, `done` have been trained on: a multiple of batch_rows */
    double factor, divisor, added;
    double tol, patience;
    double best;    /* of all losses so far */
    int64_t waited; /* epochs in a row */
    int64_t ended;  /* epochs that this call has ended */
    double *losses; /* theirs */
    int32_t stopped;
} mg_epochs;
/* Notes that an epoch with these totals has ended, and whether it is the last. */
void mg_epochs_end(mg_epochs *epochs, double *totals);
/* What mg_plan_train_batches takes for one plan, and what it returns.  `result` tells of the steps of all
 * epochs. */
typedef struct {
    mg_plan *plan;
    const mg_batch *data;
    const int64_t *index;
    int64_t count, batch_rows;
    const mg_constraints *constraints;
    mg_optimizer *optimizer;
    double *totals;
    mg_result *result;
    mg_epochs *epochs; /* or NULL */
    int32_t status;
    int32_t together; /* how many ran side by side with it, itself included */
} mg_training;
/* mg_plan_train_batches, epoch by epoch where there are some; returns the status. */
int mg_train_one(mg_training *training, int threads);
/* mg_train_one for each of these, whose plans and optimizers are all different ones: shared out over
 * threads, and equal small networks side by side in the lanes of vectors.  Same bits as one by one. */
void mg_train_many(int64_t n, mg_training *trainings, int threads);

/* A source of random bits as numpy's generators have it (numpy/random/bitgen.h): its first members. */
typedef struct {
    void *state;
    uint64_t (*next_uint64)(void *state);
    uint32_t (*next_uint32)(void *state);
} mg_bits;
/* Orders of rows to draw: `count` permutations of 0 .. rows - 1, one behind the other. */
typedef struct {
    const mg_bits *bits;
    int64_t rows, count;
    int64_t *orders; /* (count, rows) */
} mg_drawing;
/* Draws them, shared out over threads if the sources are all different ones; with threads 1 one after the
 * other.  Each takes from its source what numpy's shuffle takes, and ends with the order that numpy's shuffle
 * would have made. */
int mg_draw_orders(int64_t n, const mg_drawing *drawings, int threads);

/* What a buffer holds after such a run, and its leading dimension. */
void *mg_plan_values(mg_plan *plan, int buffer, int64_t *ld);
int64_t mg_plan_workspace_bytes(const mg_plan *plan);
int64_t mg_plan_rows(const mg_plan *plan); /* that the workspace has room for: the largest batch so far */

/* ---- programs ---- */
/* A scalar function, recorded: a flat list of ops that runs over the rows of a batch, a row a lane.
 *
 * The ops of micrograd/rules.py under the same names, then those that only a program has. */
enum {
    MG_OP_ADD,
    MG_OP_SUB,
    MG_OP_MUL,
    MG_OP_DIV,
    MG_OP_POW,
    MG_OP_MAXIMUM,
    MG_OP_MINIMUM,
    MG_OP_LEAKY_RELU,
    MG_OP_NEG,
    MG_OP_ABS,
    MG_OP_EXP,
    MG_OP_LOG,
    MG_OP_SQRT,
    MG_OP_SIN,
    MG_OP_COS,
    MG_OP_TANH,
    MG_OP_SIGMOID,
    MG_OP_RELU,
    MG_OP_SOFTPLUS,
    MG_OP_ERFC,
    MG_OP_LOG1P,
    MG_OP_EXPM1,
    MG_OP_LOG2,
    MG_OP_LOG10,
    MG_OP_TAN,
    MG_OP_ASIN,
    MG_OP_ACOS,
    MG_OP_ATAN,
    MG_OP_SINH,
    MG_OP_COSH,
    MG_OP_ASINH,
    MG_OP_ACOSH,
    MG_OP_ATANH,
    MG_OP_CBRT,
    MG_OP_ERF,
    MG_OP_LGAMMA,
    MG_OP_DIGAMMA,
    MG_OP_SIGN,
    MG_OP_FLOOR,
    MG_OP_CEIL,
    MG_OP_ROUND, /* halves to even */
    MG_OP_GELU,  /* the last of one operand; NEG is the first */
    MG_OP_HYPOT,
    MG_OP_ATAN2,
    MG_OP_POLYGAMMA, /* of x, and the order: 0, 1, 2, ... */
    MG_OP_DOT,
    MG_OP_SUM, /* from the first operand, not from 0 */
    MG_OP_WHERE,
    MG_OP_CLAMP, /* of x, low, high */
    MG_OP_LESS,  /* 1 or 0, without a derivative */
    MG_OP_LESS_EQUAL,
    MG_OP_DETACH, /* the operand, without a derivative */
    MG_OP_INPUT,  /* operands: argument, column */
    MG_OP_OUTPUT, /* the destination is the number of the output */
    MG_OP_KEEP,   /* the destination is a scalar */
    MG_OPS
};

enum { MG_NO_SLOT = -1, MG_NO_SINK = -1 };

/* Instructions, one after the other:
 *
 *     forward    op, n, destination, n operands
 *     backward   op, n, value, gradient, mask, n operands, n sinks
 *
 * A slot holds a number for each row of a block.  An operand is a slot, or ~s for scalar s: a number
 * that is the same for all rows.  `value` and `gradient` are the slots of the op's result and of its
 * gradient.  A sink says where the gradient of an operand goes: 2 slot, 2 slot + 1 to add to what is
 * there, -2 - s into the sum of scalar s, or MG_NO_SINK.  They are served in the order of the operands,
 * those of a dot as w0, x0, w1, x1, ..., bias.  Rows for which the slot `mask` holds 0 send nothing.
 * Going backward, an OUTPUT starts its operand's gradient, and an INPUT leaves the one in the slot
 * `gradient` (MG_NO_SLOT: zeros) to the caller who has asked for it. */
typedef struct {
    const int32_t *code;
    int64_t length; /* in int32_t */
} mg_code;

/* Scalars are the parameters, then the constants, then what depends on no argument (uniform): computed
 * once a call, by code that runs on slots of its own. */
typedef struct {
    int32_t n_parameters, n_constants, n_uniforms;
    int32_t n_arguments, n_outputs;
    int32_t uniform_slots, slots, run_slots;
    const double *constants;
    const int64_t *argument_columns;
    mg_code uniform, uniform_backward; /* the first ends in KEEPs, which the second starts from */
    mg_code forward, backward;
    mg_code run; /* forward, for slots that nothing has to outlive */
} mg_program_source;

/* The values of an argument, (rows, columns). */
typedef struct {
    const void *data;
    int64_t ld;
} mg_argument;

/* NULL: no memory, or the source does not hold together. */
mg_program *mg_program_new(int isa, int dtype, const mg_program_source *source);
void mg_program_free(mg_program *program);
/* out (rows, outputs) */
int mg_program_run(mg_program *program, const void *parameters, const mg_argument *arguments, int64_t rows,
                   void *out, int threads);
/* The mean of output 0 over the rows, and its gradient, which the program keeps until it is asked for. */
int mg_program_loss(mg_program *program, const void *parameters, const mg_argument *arguments, int64_t rows,
                    int threads, double *loss);
/* gradients (parameters) = that gradient, += with accumulate. */
int mg_program_gradients(const mg_program *program, void *gradients, int accumulate);
int64_t mg_program_workspace_bytes(const mg_program *program);

/* Programs as a plan uses them, on their own: for tests and benchmarks (see csrc/program_ops.h).
 * y (rows, columns) = f(x), and, unless g is NULL: dx = g * f'(x), gradients += the sum of g * df/dparameter. */
int mg_program_map_pass(mg_program *program, const void *parameters, int64_t rows, int64_t columns,
                        const void *x, int64_t x_ld, void *y, int64_t y_ld, const void *g, int64_t g_ld,
                        void *dx, int64_t dx_ld, int accumulate, void *gradients, int threads);
/* row_loss (rows) = weight * f(z, y) for z (rows, columns) and the batch's labels or targets, and, unless
 * dz is NULL: dz = weight * df/dz, gradients += the sum of weight * df/dparameter / total weight. */
int mg_program_loss_pass(mg_program *program, const void *parameters, const mg_batch *batch, int64_t columns,
                         double *row_loss, void *dz, int64_t dz_ld, void *gradients, int threads);

/* ---- single kernels, for optimizers, tests and benchmarks ---- */
/* C (m,n) = alpha * A (m,k) @ B (k,n), += with accumulate; any strides of A and B, rows of C apart by c_row. */
int mg_matmul(int isa, int dtype, int64_t m, int64_t n, int64_t k, double alpha, const void *a, int64_t a_row,
              int64_t a_col, const void *b, int64_t b_row, int64_t b_col, int accumulate, void *c,
              int64_t c_row, int threads);
int mg_map(int isa, int dtype, int function, double slope, int64_t n, const void *x, void *y);
/* g *= f'(.), computed from y = f(x), for gelu, silu, softplus and mish from x. */
int mg_gate(int isa, int dtype, int function, double slope, int64_t n, const void *reference, void *g);
int mg_softmax(int isa, int dtype, int64_t rows, int64_t columns, const void *x, int64_t x_ld, void *y,
               int64_t y_ld);
/* g_in = y * (g - sum_j g_j y_j): the softmax's Jacobian, which is symmetric, times g. */
int mg_softmax_backward(int isa, int dtype, int64_t rows, int64_t columns, const void *y, int64_t y_ld,
                        const void *g, int64_t g_ld, void *g_in, int64_t g_in_ld);
/* One step, counted.  Nothing is checked: a gradient that is not finite goes into the parameters. */
int mg_optimizer_step(mg_optimizer *optimizer, int threads);
/* One step with the constraints around it, from the mean over the rows of `sums` if it is not empty, which
 * it is afterwards.  MG_STEP_NOT_FINITE: some number would not be finite; parameters and
 * state are as they were.  Gradients in none of the optimizer's slices are set to 0 first. */
int mg_update_step(mg_optimizer *optimizer, const mg_constraints *constraints, mg_sums *sums, int threads,
                   mg_result *result);
/* (sum |x|^p)^(1/p), p > 0, INFINITY: the largest |x|.  In double, without overflow on the way. */
double mg_norm(int isa, int dtype, int64_t n, const void *x, double p);
/* x = scale x, held within +-bound. */
int mg_clip(int isa, int dtype, int64_t n, void *x, double scale, double bound);

/* ---- the machine's limits, for benchmarks; -1 where they cannot be measured ---- */
double mg_measure_fma(int isa, int dtype, int threads); /* GFLOP/s of multiply-adds in registers */
double mg_measure_triad(int threads);                   /* GB/s of a = b + s * c in memory */
