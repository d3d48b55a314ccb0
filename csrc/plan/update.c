/* What follows a backward pass: penalties, the gradient's norm, clipping, the optimizer's step, max-norm.
 *
 * Parameters and state must be as they were if any number that the step would write is not finite, and
 * a copy of them would cost more than the step.  So the step is made twice where it might overflow, the
 * first time dry; where the bounds below say that it cannot, which is nearly always, once. */
#include "plan/update.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The same chunks for any number of threads, so that sums over them have the same bits. */
int mg_update_chunks(int64_t n)
{
    const int64_t chunks = (n + MG_UPDATE_CHUNK - 1) / MG_UPDATE_CHUNK;
    return chunks < MG_UPDATE_CHUNKS ? (int)chunks : MG_UPDATE_CHUNKS;
}

/* The elements of some chunks: whole lines of 16, but for the last. */
mg_range mg_update_elements(int64_t n, int64_t first, int64_t last)
{
    const int64_t lines = (n + 15) / 16, count = mg_update_chunks(n) ? mg_update_chunks(n) : 1;
    first = lines * first / count * 16, last = lines * last / count * 16;
    return (mg_range){first < n ? first : n, last < n ? last : n};
}

static void *at(const mg_optimizer *o, const void *x, int64_t i)
{
    return (char *)(uintptr_t)x + (size_t)i * (o->dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double));
}

static double sum(const double *x, int n)
{
    double total = 0;
    for (int i = 0; i < n; i++)
        total += x[i];
    return total;
}

/* The largest of x, or the first that is no finite number. */
static double largest(const double *x, int n)
{
    double most = 0;
    for (int i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return x[i];
        most = x[i] > most ? x[i] : most;
    }
    return most;
}

/* g = factor g + l2 w + l1 sign(w) on the weights of [first, last), g = factor g on the rest of it. */
static void penalize(const mg_update *u, mg_range r, double sums[2])
{
    const mg_optimizer *o = u->optimizer;
    const mg_constraints *constraints = u->constraints;
    int64_t low = 0, high = constraints->n_weights; /* the first weight matrix that ends behind r.first */
    while (low < high) {
        const mg_weight *w = &constraints->weights[(low + high) / 2];
        if (w->offset + w->rows * w->columns <= r.first)
            low = (low + high) / 2 + 1;
        else
            high = (low + high) / 2;
    }
    for (int64_t i = r.first; i < r.last;) {
        int64_t end = r.last;
        int penalized = 0;
        if (low < constraints->n_weights) {
            const mg_weight *w = &constraints->weights[low];
            penalized = i >= w->offset;
            const int64_t edge = penalized ? w->offset + w->rows * w->columns : w->offset;
            low += penalized && edge <= end;
            end = edge < end ? edge : end;
        }
        u->kernels->penalize(end - i, at(o, o->parameters, i), at(o, o->gradients, i), u->factor,
                             penalized ? constraints->l1 : 0, penalized ? constraints->l2 : 0, sums);
        i = end;
    }
}

/* The Euclidean norm where the plain sum of squares left the range of a double. */
static double rescaled_norm(mg_update *u, mg_range chunks, mg_team team)
{
    const mg_optimizer *o = u->optimizer;
    const mg_range r = mg_update_elements(o->n, chunks.first, chunks.last);
    u->largest[team.index] = u->kernels->largest(r.last - r.first, at(o, o->gradients, r.first));
    mg_barrier(team);
    const double most = largest(u->largest, team.size);
    if (most == 0 || !isfinite(most))
        return most;
    for (int64_t i = chunks.first; i < chunks.last; i++) {
        const mg_range part = mg_update_elements(o->n, i, i + 1);
        u->squares[i] =
            u->kernels->power_sum(part.last - part.first, at(o, o->gradients, part.first), 2, most);
    }
    mg_barrier(team);
    return most * sqrt(sum(u->squares, mg_update_chunks(o->n)));
}

/* The norm of the gradients, penalties included; from here on u->factor is still to be applied, or has
 * been by the penalties. */
static double gradient_norm(mg_update *u, mg_range chunks, int penalized, mg_team team)
{
    const mg_optimizer *o = u->optimizer;
    for (int64_t i = chunks.first; i < chunks.last; i++) {
        const mg_range r = mg_update_elements(o->n, i, i + 1);
        double sums[2] = {0, 0};
        if (penalized)
            penalize(u, r, sums);
        else
            sums[0] = u->kernels->sum_of_squares(r.last - r.first, at(o, o->gradients, r.first));
        u->squares[i] = sums[0];
        u->penalties[i] = sums[1];
    }
    mg_barrier(team);
    const int count = mg_update_chunks(o->n);
    const double squares = sum(u->squares, count);
    if (team.index == 0)
        u->result->penalty = sum(u->penalties, count);
    const int in_range = squares > DBL_MIN && squares <= DBL_MAX;
    if (!in_range)
        mg_barrier(team); /* before the sums are written over */
    return (in_range ? sqrt(squares) : rescaled_norm(u, chunks, team)) * (penalized ? 1 : u->factor);
}

static double nadam_momentum(const mg_optimizer *o, double t)
{
    return o->beta1 * (1 - 0.5 * pow(0.96, t * o->momentum_decay));
}

/* The rates of the optimizer's next step; micrograd.h has the rules. */
mg_rates mg_rates_of(const mg_optimizer *o)
{
    const double t = (double)o->steps + 1;
    const int adam = o->kind != MG_SGD && o->kind != MG_RMSPROP && o->kind != MG_ADAGRAD;
    const int apart = o->kind == MG_ADAMW || (o->decoupled && (o->kind == MG_NADAM || o->kind == MG_RADAM));
    const double left = adam ? 1 - pow(o->beta2, t) : 1; /* of s */
    mg_rates r = {.lr = adam ? o->lr / (1 - pow(o->beta1, t)) : o->lr,
                  .decay = apart ? 0 : o->weight_decay,
                  .shrink = apart ? 1 - o->lr * o->weight_decay : 1,
                  .keep_square = adam ? o->beta2 : o->alpha,
                  .eps = o->eps,
                  .root = 1};
    if (o->kind == MG_ADAGRAD) {
        r.lr = o->lr / (1 + (double)o->steps * o->lr_decay);
    } else if (o->kind == MG_RADAM) {
        const double limit = 2 / (1 - o->beta2) - 1, length = limit - 2 * t * pow(o->beta2, t) / left;
        if (length > 5)
            r.lr *= sqrt(left * (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length));
        else
            r.root = 0, r.eps = 1; /* the denominator is 1 */
    } else if (adam && o->kind != MG_ADAMAX) {
        r.root = 1 / sqrt(left);
        r.eps = o->epsilon_hat ? o->eps * r.root : o->eps;
    }
    if (o->kind == MG_NADAM) {
        const double mu = nadam_momentum(o, t), next = nadam_momentum(o, t + 1);
        const double product = o->momentum_product * mu;
        r.mean_share = o->lr * next / (1 - product * next);
        r.gradient_share = o->lr * (1 - mu) / (1 - product);
    }
    return r;
}

/* The step on the elements of a range, slice by slice where there are some; see T(update). */
static double update(const mg_kernels *kernels, const mg_optimizer *o, mg_range range, double scale,
                     double bound, int dry)
{
    if (!o->slices) {
        const mg_rates rates = mg_rates_of(o);
        return kernels->update(o, &rates, range, scale, bound, dry);
    }
    double most = 0;
    for (int64_t i = 0; i < o->n_slices; i++) {
        const mg_slice *s = &o->slices[i];
        const mg_range part = {s->first > range.first ? s->first : range.first,
                               s->last < range.last ? s->last : range.last};
        if (part.first >= part.last)
            continue;
        mg_optimizer of_slice = *s->group;
        of_slice.parameters = o->parameters;
        of_slice.gradients = o->gradients;
        memcpy(of_slice.state, o->state, sizeof o->state);
        of_slice.steps = o->steps;
        const mg_rates rates = mg_rates_of(&of_slice);
        const double x = kernels->update(&of_slice, &rates, part, scale, bound, dry);
        if (!isfinite(x))
            return x;
        most = x > most ? x : most;
    }
    return most;
}

static void clear(const mg_optimizer *o, int64_t first, int64_t last)
{
    const size_t size = o->dtype == MG_FLOAT32 ? sizeof(float) : sizeof(double);
    if (first < last)
        memset(at(o, o->gradients, first), 0, (size_t)(last - first) * size);
}

/* Gradients that no step uses count in no norm: they are set to 0. */
static void clear_unused(const mg_optimizer *o)
{
    int64_t end = 0;
    for (int64_t i = 0; i < o->n_slices; i++) {
        clear(o, end, o->slices[i].first);
        end = o->slices[i].last;
    }
    clear(o, end, o->n);
}

void mg_optimizer_advance(mg_optimizer *o)
{
    const double t = (double)++o->steps;
    if (o->kind != MG_NADAM)
        return;
    if (!o->slices)
        o->momentum_product *= nadam_momentum(o, t);
    for (int64_t i = 0; o->slices && i < o->n_slices; i++) {
        mg_optimizer *group = o->slices[i].group; /* of several slices perhaps: once */
        if (group->steps != o->steps)
            group->momentum_product *= nadam_momentum(group, t);
        group->steps = o->steps;
    }
}

/* Whether no number of a step can come near FLT_MAX: with settings below 1e3 and numbers below 1e9, g is
 * below 1e12 with its decay, g^2 below 1e24, g / eps below 1e28, and lr / (1 - beta1) times it 1e35. */
static int stays_in_range(const mg_optimizer *o, double norm)
{
    if (!(norm < 1e9 && o->largest < 1e9))
        return 0;
    for (int64_t i = 0; i < (o->slices ? o->n_slices : 1); i++) {
        const mg_optimizer *s = o->slices ? o->slices[i].group : o;
        if (!(fabs(s->lr) < 1e3 && s->weight_decay < 1e3 && s->momentum < 1e3 && s->dampening < 1e3 &&
              (s->kind == MG_SGD || s->eps >= 1e-16) && s->beta1 <= 0.9999))
            return 0;
    }
    return 1;
}

/* Each row of a weight matrix, a unit's incoming weights, is scaled down to the norm max_norm. */
static void limit_rows(const mg_update *u, mg_team team)
{
    const mg_optimizer *o = u->optimizer;
    for (int64_t i = 0; i < u->constraints->n_weights; i++) {
        const mg_weight *w = &u->constraints->weights[i];
        const mg_range rows = mg_share(w->rows, team);
        for (int64_t row = rows.first; row < rows.last; row++) {
            void *x = at(o, o->parameters, w->offset + row * w->columns);
            const double most = u->kernels->largest(w->columns, x);
            if (most == 0)
                continue;
            const double norm = most * sqrt(u->kernels->power_sum(w->columns, x, 2, most));
            if (norm > u->constraints->max_norm)
                u->kernels->clip(w->columns, x, u->constraints->max_norm / norm, INFINITY);
        }
    }
}

void mg_update_run(mg_update *u, mg_team team)
{
    mg_optimizer *o = u->optimizer;
    const mg_constraints *constraints = u->constraints;
    const int penalized = constraints->l1 != 0 || constraints->l2 != 0;
    const mg_range chunks = mg_share(mg_update_chunks(o->n), team);
    const mg_range mine = mg_share_lines(o->n, team);
    if (o->slices) {
        if (team.index == 0)
            clear_unused(o);
        mg_barrier(team);
    }
    const double norm = gradient_norm(u, chunks, penalized, team);
    const double clip = constraints->clip_norm / (norm + 1e-6);
    const double scale = (penalized ? 1 : u->factor) * (clip < 1 ? clip : 1);
    if (team.index == 0) {
        u->result->gradient_norm = norm;
        u->status = isfinite(norm) ? MG_OK : MG_STEP_NOT_FINITE;
    }
    if (!isfinite(norm))
        return;
    const double reach = norm < constraints->clip_norm ? norm : constraints->clip_norm;
    if (!stays_in_range(o, reach)) {
        mg_barrier(team); /* rescaled_norm may still be read */
        u->largest[team.index] = update(u->kernels, o, mine, scale, constraints->clip_value, 1);
        mg_barrier(team);
        if (!isfinite(largest(u->largest, team.size))) {
            if (team.index == 0)
                u->status = MG_STEP_NOT_FINITE;
            return;
        }
    }
    mg_barrier(team);
    u->largest[team.index] = update(u->kernels, o, mine, scale, constraints->clip_value, 0);
    mg_barrier(team);
    if (team.index == 0) {
        o->largest = largest(u->largest, team.size);
        mg_optimizer_advance(o);
    }
    if (constraints->max_norm < INFINITY)
        limit_rows(u, team);
}

/* Below this many elements a second thread costs more than it brings. */
#define PARALLEL_ELEMENTS 50000

static int threads_for(int64_t n, int threads)
{
    return n < PARALLEL_ELEMENTS ? 1 : mg_team_limit(threads);
}

static int slices_fit(const mg_optimizer *o)
{
    int64_t end = 0;
    for (int64_t i = 0; i < o->n_slices; i++) {
        const mg_slice *s = &o->slices[i];
        if (s->first < end || s->last < s->first || s->last > o->n || s->group->kind != o->kind)
            return 0;
        end = s->last;
    }
    return 1;
}

const mg_kernels *mg_optimizer_kernels(const mg_optimizer *o)
{
    const int adaptive = o->kind != MG_SGD;
    const int adam = adaptive && o->kind != MG_RMSPROP && o->kind != MG_ADAGRAD;
    if (o->kind < 0 || o->kind >= MG_OPTIMIZERS || o->n < 0 || (adaptive && !o->state[0]) ||
        (adam && !o->state[1]) || (o->slices && !slices_fit(o)))
        return NULL;
    return mg_kernels_find(o->isa, o->dtype);
}

static void update_body(void *arguments, mg_team team)
{
    mg_update_run(arguments, team);
}

int mg_update_step(mg_optimizer *optimizer, const mg_constraints *constraints, mg_sums *sums, int threads,
                   mg_result *result)
{
    mg_update u = {.optimizer = optimizer,
                   .constraints = constraints,
                   .kernels = mg_optimizer_kernels(optimizer),
                   .factor = sums->weight > 0 ? 1 / (sums->weight * sums->unit) : 1,
                   .result = result};
    if (!u.kernels)
        return MG_BAD_ARGUMENT;
    mg_team_run(update_body, &u, threads_for(optimizer->n, threads));
    *sums = (mg_sums){0};
    return u.status;
}

typedef struct {
    const mg_kernels *kernels;
    const mg_optimizer *optimizer;
} plain_step;

static void step_body(void *arguments, mg_team team)
{
    const plain_step *s = arguments;
    update(s->kernels, s->optimizer, mg_share_lines(s->optimizer->n, team), 1, INFINITY, 0);
}

int mg_optimizer_step(mg_optimizer *optimizer, int threads)
{
    const mg_kernels *kernels = mg_optimizer_kernels(optimizer);
    if (!kernels)
        return MG_BAD_ARGUMENT;
    mg_team_run(step_body, &(plain_step){kernels, optimizer}, threads_for(optimizer->n, threads));
    mg_optimizer_advance(optimizer);
    optimizer->largest = INFINITY;
    return MG_OK;
}
