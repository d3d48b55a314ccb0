/* Random orders of rows, drawn from the bits of a numpy generator. */
#include <stdatomic.h>

#include "machine/team.h"
#include "micrograd.h"

enum {
    BLOCK = 256,           /* places that are drawn before any is used */
    LONG_ORDERS = 1 << 14, /* rows, 40 us: a second thread comes within 10 */
};

/* As many ones as `most` has bits, for 0 < most < 2^32. */
static uint32_t mask_of(uint32_t most)
{
    for (int shift = 1; shift < 32; shift *= 2)
        most |= most >> shift;
    return most;
}

/* The shuffle of Fisher and Yates (Knuth 1997, algorithm 3.4.2P): from the last place i down, what stands
 * there is exchanged with what stands at a place j, 0 <= j <= i.  j is what the lowest bits of 32 random ones say,
 * drawn again while that is more than i, as numpy has it.  A branch on whether it is would be guessed wrong
 * once in three draws and cost more than all the rest, so a j is written down in any case, and the next one
 * over it where it was too large: 2.7 ns a row instead of 8. */
static void shuffled(const mg_bits *bits, int64_t rows, int64_t *order)
{
    uint32_t drawn[BLOCK];
    for (int64_t i = 0; i < rows; i++)
        order[i] = i;
    for (int64_t i = rows - 1; i > 0;) {
        const uint32_t mask = mask_of((uint32_t)i);
        const int64_t first = i, half = (int64_t)(mask >> 1) + 1; /* from here on the mask is another one */
        const int64_t last = i - half < BLOCK ? half : i - BLOCK + 1;
        while (i >= last) {
            const int64_t j = bits->next_uint32(bits->state) & mask;
            drawn[first - i] = (uint32_t)j;
            i -= j <= i;
        }
        for (int64_t k = first; k > i; k--) {
            const int64_t j = drawn[first - k], kept = order[k];
            order[k] = order[j];
            order[j] = kept;
        }
    }
}

typedef struct {
    const mg_drawing *drawings;
    int64_t n;
    _Atomic int64_t next;
} work;

static void draw_body(void *arguments, mg_team team)
{
    work *w = arguments;
    (void)team;
    for (int64_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;) {
        const mg_drawing *d = &w->drawings[i];
        for (int64_t k = 0; k < d->count; k++)
            shuffled(d->bits, d->rows, d->orders + k * d->rows);
    }
}

int mg_draw_orders(int64_t n, const mg_drawing *drawings, int threads)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) {
        if (drawings[i].rows < 0 || drawings[i].rows > UINT32_MAX || drawings[i].count < 0)
            return MG_BAD_ARGUMENT;
        rows += drawings[i].rows * drawings[i].count;
    }
    work w = {.drawings = drawings, .n = n};
    mg_team_run(draw_body, &w, rows < LONG_ORDERS ? 1 : mg_team_limit(threads < n ? threads : n));
    return MG_OK;
}
