/* Programs: checking their instructions, making and freeing them. */
#include <stdlib.h>

#include "program/program_state.h"

/* ---- checking ---- */

typedef struct {
    int64_t n_scalars, slots;
    int backward, uniform;
} frame;

static int operand_fits(const frame *f, int32_t operand)
{
    return operand >= 0 ? operand < f->slots : ~operand < f->n_scalars;
}

static int sink_fits(const frame *f, int32_t sink)
{
    if (sink == MG_NO_SINK)
        return 1;
    return sink >= 0 ? sink / 2 < f->slots : -2 - (int64_t)sink < f->n_scalars;
}

static int arity_fits(int op, int n)
{
    switch (op) {
    case MG_OP_DOT: return n % 2 == 1;
    case MG_OP_SUM: return n > 0;
    case MG_OP_WHERE: return n == 3;
    case MG_OP_INPUT: return n == 2;
    case MG_OP_DETACH:
    case MG_OP_OUTPUT:
    case MG_OP_KEEP: return n == 1;
    default: return n == (op >= MG_OP_NEG && op <= MG_OP_GELU ? 1 : 2);
    }
}

/* Where an instruction puts its result, or what takes that place. */
static int destination_fits(const mg_program_source *s, const frame *f, int op, int32_t to)
{
    if (op == MG_OP_OUTPUT)
        return to >= 0 && to < s->n_outputs && !f->uniform;
    if (op == MG_OP_KEEP)
        return f->uniform && to >= s->n_parameters + s->n_constants && to < f->n_scalars;
    return f->backward ? to >= MG_NO_SLOT && to < f->slots : to >= 0 && to < f->slots;
}

static int instruction_fits(const mg_program_source *s, const frame *f, const int32_t *at)
{
    const int op = at[0], n = at[1], head = f->backward ? 5 : 3;
    if (!arity_fits(op, n) || !destination_fits(s, f, op, at[2]))
        return 0;
    if (op == MG_OP_INPUT) {
        const int32_t argument = at[head], column = at[head + 1];
        if (f->uniform || argument < 0 || argument >= s->n_arguments || column < 0 ||
            column >= s->argument_columns[argument])
            return 0;
        return !f->backward || (at[3] >= MG_NO_SLOT && at[3] < f->slots);
    }
    for (int i = 0; i < n; i++)
        if (!operand_fits(f, at[head + i]) || (f->backward && !sink_fits(f, at[head + n + i])))
            return 0;
    if (op == MG_OP_KEEP && !f->backward && at[3] < 0)
        return 0;
    if (!f->backward || op == MG_OP_OUTPUT || op == MG_OP_KEEP)
        return 1;
    return at[3] >= 0 && at[3] < f->slots && at[4] >= MG_NO_SLOT && at[4] < f->slots;
}

static int code_fits(const mg_program_source *s, const frame *f, mg_code code)
{
    const int head = f->backward ? 5 : 3, each = f->backward ? 2 : 1;
    int64_t at = 0;
    while (at < code.length) {
        const int32_t *c = code.code + at;
        if (code.length - at < head || c[0] < 0 || c[0] >= MG_OPS || c[1] < 1 ||
            c[1] > (code.length - at - head) / each || !instruction_fits(s, f, c))
            return 0;
        at += head + (int64_t)each * c[1];
    }
    return 1;
}

static int source_fits(const mg_program_source *s)
{
    if (s->n_parameters < 0 || s->n_constants < 0 || s->n_uniforms < 0 || s->n_arguments < 0 ||
        s->n_outputs < 1 || s->uniform_slots < 0 || s->slots < 0 || s->run_slots < 0)
        return 0;
    const int64_t scalars = (int64_t)s->n_parameters + s->n_constants + s->n_uniforms;
    const frame uniform = {scalars, s->uniform_slots, 0, 1},
                uniform_backward = {scalars, s->uniform_slots, 1, 1};
    const frame forward = {scalars, s->slots, 0, 0}, backward = {scalars, s->slots, 1, 0};
    const frame run = {scalars, s->run_slots, 0, 0};
    return scalars < INT32_MAX / 2 && code_fits(s, &uniform, s->uniform) &&
           code_fits(s, &uniform_backward, s->uniform_backward) && code_fits(s, &forward, s->forward) &&
           code_fits(s, &backward, s->backward) && code_fits(s, &run, s->run);
}

/* ---- making and freeing ---- */

static void *aligned(size_t count, size_t size)
{
    void *memory = NULL;
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    if (posix_memalign(&memory, 64, count * size + 64))
        return NULL;
    memset(memory, 0, count * size + 64);
    return memory;
}

static int copy_source(mg_program *p, const mg_program_source *s)
{
    mg_code *codes[] = {&p->source.uniform, &p->source.uniform_backward, &p->source.forward,
                        &p->source.backward, &p->source.run};
    size_t length = 0;
    p->source = *s;
    for (int i = 0; i < 5; i++) {
        if (codes[i]->length < 0 || codes[i]->length > INT32_MAX)
            return 0;
        length += (size_t)codes[i]->length;
    }
    if (s->n_constants < 0 || s->n_arguments < 0)
        return 0;
    p->code = aligned(length, sizeof *p->code);
    p->constants = aligned((size_t)s->n_constants, sizeof *p->constants);
    p->argument_columns = aligned((size_t)s->n_arguments, sizeof *p->argument_columns);
    if (!p->code || !p->constants || !p->argument_columns)
        return 0;
    int32_t *to = p->code;
    for (int i = 0; i < 5; i++) {
        if (codes[i]->length)
            memcpy(to, codes[i]->code, (size_t)codes[i]->length * sizeof *to);
        codes[i]->code = to;
        to += codes[i]->length;
    }
    for (int i = 0; i < s->n_constants; i++)
        p->constants[i] = s->constants[i];
    for (int i = 0; i < s->n_arguments; i++)
        p->argument_columns[i] = s->argument_columns[i];
    p->source.constants = p->constants;
    p->source.argument_columns = p->argument_columns;
    return 1;
}

/* The scalar at i becomes x, rounded. */
static void set_scalar(mg_program *p, int64_t i, double x)
{
    if (p->real_size == sizeof(float))
        ((float *)p->scalars)[i] = (float)x;
    else
        ((double *)p->scalars)[i] = x;
}

static int64_t operations(mg_code code, int head, int each)
{
    int64_t sum = 0;
    for (int64_t at = 0; at < code.length; at += head + (int64_t)each * code.code[at + 1])
        sum += code.code[at + 1];
    return sum;
}

mg_program *mg_program_new(int isa, int dtype, const mg_program_source *source)
{
    const mg_kernels *kernels = mg_kernels_find(isa, dtype);
    mg_program *p = kernels ? calloc(1, sizeof *p) : NULL;
    if (!p)
        return NULL;
    p->kernels = kernels;
    p->real_size = dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
    if (!copy_source(p, source) || !source_fits(&p->source)) {
        mg_program_free(p);
        return NULL;
    }
    p->n_scalars = (int64_t)source->n_parameters + source->n_constants + source->n_uniforms;
    p->ops = operations(p->source.forward, 3, 1) + operations(p->source.backward, 5, 2);
    p->run_ops = operations(p->source.run, 3, 1);
    const size_t n = (size_t)p->n_scalars;
    p->scalars = aligned(n, p->real_size);
    p->uniform_slots = aligned((size_t)source->uniform_slots, p->real_size * (size_t)kernels->lanes);
    p->uniform_sums = aligned(source->uniform_backward.length ? n : 0, p->real_size * (size_t)kernels->lanes);
    p->totals = aligned(n, sizeof *p->totals);
    p->chunk_totals = aligned(n, sizeof *p->chunk_totals * MG_MAX_CHUNKS);
    if (!p->scalars || !p->uniform_slots || !p->uniform_sums || !p->totals || !p->chunk_totals) {
        mg_program_free(p);
        return NULL;
    }
    for (int64_t i = 0; i < source->n_constants; i++)
        set_scalar(p, source->n_parameters + i, source->constants[i]);
    return p;
}

void mg_program_free(mg_program *p)
{
    if (!p)
        return;
    free(p->code);
    free(p->constants);
    free(p->argument_columns);
    free(p->scalars);
    free(p->uniform_slots);
    free(p->uniform_sums);
    free(p->totals);
    free(p->chunk_totals);
    free(p->workspace);
    free(p);
}

int64_t mg_program_workspace_bytes(const mg_program *p)
{
    return (int64_t)p->workspace_bytes;
}
