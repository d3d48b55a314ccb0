/* Programs: making and freeing them. */
#include <stdlib.h>

#include "machine/memory.h"
#include "program/program_state.h"

static void *aligned(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    void *memory = mg_memory_new(count * size + 64);
    if (memory)
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
    if (!copy_source(p, source) || !mg_program_source_fits(&p->source)) {
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
    p->chunk_totals = aligned(n, sizeof *p->chunk_totals * MG_PROGRAM_CHUNKS);
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
    mg_memory_free(p->code);
    mg_memory_free(p->constants);
    mg_memory_free(p->argument_columns);
    mg_memory_free(p->scalars);
    mg_memory_free(p->uniform_slots);
    mg_memory_free(p->uniform_sums);
    mg_memory_free(p->totals);
    mg_memory_free(p->chunk_totals);
    mg_memory_free(p->workspace);
    free(p);
}

int64_t mg_program_workspace_bytes(const mg_program *p)
{
    return (int64_t)p->workspace_bytes;
}
