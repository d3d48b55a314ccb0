/* Programs of any instructions: mg_program_new refuses them, or they run, forward and backward, without a
 * step outside the memory that is theirs. */
#include "bytes.h"

enum { MOST_CODE = 120, MOST_ROWS = 40 };

/* Instructions whose parts are, as a rule, within these numbers. */
static mg_code draw_code(fuzz_bytes *b, int32_t *code, int backward, const mg_program_source *s, int slots)
{
    const int scalars = s->n_parameters + s->n_constants + s->n_uniforms;
    const int count = fuzz_byte(b) % 8;
    int64_t length = 0;
    for (int i = 0; i < count; i++) {
        const int op = (int)fuzz_number(b, 0, MG_OPS - 1);
        static const uint8_t arity[MG_OPS] = {
            [MG_OP_NEG] = 1,     [MG_OP_ABS] = 1,    [MG_OP_EXP] = 1,      [MG_OP_LOG] = 1,
            [MG_OP_SQRT] = 1,    [MG_OP_SIN] = 1,    [MG_OP_COS] = 1,      [MG_OP_TANH] = 1,
            [MG_OP_SIGMOID] = 1, [MG_OP_RELU] = 1,   [MG_OP_SOFTPLUS] = 1, [MG_OP_ERFC] = 1,
            [MG_OP_GELU] = 1,    [MG_OP_DOT] = 5,    [MG_OP_SUM] = 3,      [MG_OP_WHERE] = 3,
            [MG_OP_DETACH] = 1,  [MG_OP_OUTPUT] = 1, [MG_OP_KEEP] = 1};
        int n = op >= 0 && op < MG_OPS && arity[op] ? arity[op] : 2;
        if (fuzz_byte(b) % 16 == 0)
            n = (int)fuzz_number(b, 1, 7);
        if (n < 0 || n > 7)
            n = 2;
        const int head = backward ? 5 : 3;
        if (length + head + 2 * n > MOST_CODE)
            break;
        int32_t *at = code + length;
        at[0] = op;
        at[1] = n;
        at[2] = (int32_t)(op == MG_OP_KEEP ? fuzz_number(b, s->n_parameters + s->n_constants, scalars)
                                           : fuzz_number(b, 0, op == MG_OP_OUTPUT ? s->n_outputs : slots));
        if (backward) {
            at[3] = (int32_t)fuzz_number(b, 0, slots);
            at[4] = fuzz_byte(b) % 4 ? MG_NO_SLOT : (int32_t)fuzz_number(b, 0, slots);
        }
        for (int k = 0; k < n; k++) {
            const int small = op == MG_OP_INPUT;
            at[head + k] = (int32_t)(small ? fuzz_number(b, 0, 2) : fuzz_number(b, -scalars, slots));
            if (backward)
                at[head + n + k] = (int32_t)fuzz_number(b, -1 - scalars, 2 * slots);
        }
        length += head + (backward ? 2 : 1) * n;
    }
    if (fuzz_byte(b) % 32 == 1 && length)
        length -= 1; /* cut off in the midst of an instruction */
    int32_t *own = malloc((size_t)length * sizeof *own + 1);
    memcpy(own, code, (size_t)length * sizeof *own);
    return (mg_code){own, length};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes b = {data, data + size};
    const int isa = fuzz_isa(&b), dtype = fuzz_byte(&b) % MG_DTYPES, threads = 1 + fuzz_byte(&b) % 2;
    const double constants[3] = {0.5, -2, 3};
    int64_t columns[2] = {1 + fuzz_byte(&b) % 3, 1 + fuzz_byte(&b) % 3};
    mg_program_source s = {.n_parameters = fuzz_byte(&b) % 4,
                           .n_constants = fuzz_byte(&b) % 4,
                           .n_uniforms = fuzz_byte(&b) % 3,
                           .n_arguments = fuzz_byte(&b) % 3,
                           .n_outputs = 1 + fuzz_byte(&b) % 3,
                           .uniform_slots = fuzz_byte(&b) % 5,
                           .slots = fuzz_byte(&b) % 9,
                           .run_slots = fuzz_byte(&b) % 9,
                           .constants = constants,
                           .argument_columns = columns};
    int32_t code[MOST_CODE];
    s.forward = draw_code(&b, code, 0, &s, s.slots);
    s.backward = draw_code(&b, code, 1, &s, s.slots);
    s.run = draw_code(&b, code, 0, &s, s.run_slots);
    s.uniform = draw_code(&b, code, 0, &s, s.uniform_slots);
    s.uniform_backward = draw_code(&b, code, 1, &s, s.uniform_slots);
    mg_program *p = mg_program_new(isa, dtype, &s);
    if (p) {
        const int64_t rows = 1 + fuzz_byte(&b) % MOST_ROWS;
        void *parameters = fuzz_reals(dtype, s.n_parameters), *gradients = fuzz_reals(dtype, s.n_parameters);
        void *out = fuzz_reals(dtype, rows * s.n_outputs);
        mg_argument arguments[2];
        for (int i = 0; i < 2; i++)
            arguments[i] = (mg_argument){fuzz_reals(dtype, rows * columns[i]), columns[i]};
        double loss;
        mg_program_run(p, parameters, arguments, rows, out, threads);
        if (mg_program_loss(p, parameters, arguments, rows, threads, &loss) == MG_OK)
            mg_program_gradients(p, gradients, fuzz_byte(&b) & 1);
        free((void *)arguments[0].data), free((void *)arguments[1].data);
        free(parameters), free(gradients), free(out);
    }
    mg_program_free(p);
    free((void *)s.forward.code), free((void *)s.backward.code), free((void *)s.run.code);
    free((void *)s.uniform.code), free((void *)s.uniform_backward.code);
    return 0;
}
