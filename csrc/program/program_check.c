/* Programs: whether their instructions hold together. */
#include "program/program_state.h"

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
    case MG_OP_WHERE:
    case MG_OP_CLAMP: return n == 3;
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

int mg_program_source_fits(const mg_program_source *s)
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
