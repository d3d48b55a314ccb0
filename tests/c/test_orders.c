/* Orders of rows: those of the shuffle as a book has it, and the source of bits where that leaves it. */
#include "guard.h"

enum { DRAWINGS = 5 };

static uint32_t next_32(void *state)
{
    uint64_t *x = state;
    *x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*x >> 32);
}

static uint64_t next_64(void *state)
{
    const uint64_t high = (uint64_t)next_32(state) << 32;
    return high | next_32(state);
}

static void simple(uint64_t *state, int64_t rows, int64_t *order)
{
    for (int64_t i = 0; i < rows; i++)
        order[i] = i;
    for (int64_t i = rows - 1; i > 0; i--) {
        int64_t mask = 1, j;
        while (mask < i)
            mask = 2 * mask + 1;
        do
            j = next_32(state) & mask;
        while (j > i);
        const int64_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

static void check(const int64_t *rows, const int64_t *counts, int threads)
{
    uint64_t states[DRAWINGS], wanted_state;
    mg_bits bits[DRAWINGS];
    mg_drawing drawings[DRAWINGS];
    for (int i = 0; i < DRAWINGS; i++) {
        states[i] = (uint64_t)i * 77 + 1;
        bits[i] = (mg_bits){&states[i], next_64, next_32};
        drawings[i] = (mg_drawing){&bits[i], rows[i], counts[i],
                                   guarded((size_t)(rows[i] * counts[i]) * sizeof(int64_t))};
    }
    CHECK(mg_draw_orders(DRAWINGS, drawings, threads) == MG_OK, "%d threads", threads);
    for (int i = 0; i < DRAWINGS; i++) {
        wanted_state = (uint64_t)i * 77 + 1;
        int64_t *wanted = guarded((size_t)rows[i] * sizeof *wanted);
        for (int64_t k = 0; k < counts[i]; k++) {
            simple(&wanted_state, rows[i], wanted);
            CHECK(!memcmp(wanted, drawings[i].orders + k * rows[i], (size_t)rows[i] * sizeof *wanted),
                  "order %d of %d rows", (int)k, (int)rows[i]);
        }
        CHECK(states[i] == wanted_state, "the source after %d rows", (int)rows[i]);
    }
    release_all();
}

void test_orders(long *passed_, long *failed_)
{
    for (place = 0; place < PLACES; place++) {
        check((int64_t[]){0, 1, 2, 3, 4}, (int64_t[]){1, 3, 2, 2, 2}, 1);
        check((int64_t[]){255, 256, 257, 258, 513}, (int64_t[]){3, 3, 3, 1, 0}, 1);
        check((int64_t[]){4096, 5, 4097, 1797, 6400}, (int64_t[]){2, 1, 2, 1, 2}, 3);
    }
    const mg_bits bits = {NULL, next_64, next_32};
    const mg_drawing large = {&bits, INT64_C(1) << 32, 0, NULL}, negative = {&bits, -1, 0, NULL},
                     fewer = {&bits, 1, -1, NULL};
    CHECK(mg_draw_orders(1, &large, 1) == MG_BAD_ARGUMENT, "2^32 rows");
    CHECK(mg_draw_orders(1, &negative, 1) == MG_BAD_ARGUMENT, "-1 rows");
    CHECK(mg_draw_orders(1, &fewer, 1) == MG_BAD_ARGUMENT, "-1 orders");
    CHECK(mg_draw_orders(0, NULL, 2) == MG_OK, "none");
    *passed_ += passed;
    *failed_ += failed;
    passed = failed = 0;
}
