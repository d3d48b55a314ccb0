/* Gamma's logarithm and its derivatives: Abramowitz and Stegun 6.3 and 6.4, as in
 * micrograd/engine/special.py. */
#ifndef _REENTRANT
#define _REENTRANT 1 /* lgamma_r, on macOS */
#endif
#include <math.h>

#include "machine/special.h"

#define PI 0x1.921fb54442d18p+1
#define FAR 15.0 /* from here on eight terms of the series leave less than a rounding */
#define MOST_ORDERS 160

enum { TERMS = 8 };

/* B_2k / (2k)!, k = 1, 2, ...: Bernoulli numbers */
static const double bernoulli[TERMS] = {1.0 / 12.0,          -1.0 / 720.0,
                                        1.0 / 30240.0,       -1.0 / 1209600.0,
                                        1.0 / 47900160.0,    -691.0 / 1307674368000.0,
                                        1.0 / 74724249600.0, -3617.0 / 10670622842880000.0};

double mg_log_gamma(double x)
{
#ifdef _WIN32
    return lgamma(x);
#else
    int sign; /* lgamma would leave it in a variable that all threads share */
    return lgamma_r(x, &sign);
#endif
}

static double digamma(double x)
{
    if (x == 0)
        return -copysign(INFINITY, x);
    if (x < 0) {
        if (x == floor(x))
            return NAN;
        return digamma(1 - x) - PI / tan(PI * fmod(x, 1));
    }
    if (!(x < INFINITY))
        return x;
    double shift = 0;
    for (; x < FAR; x += 1)
        shift -= 1 / x;
    const double square = 1 / (x * x);
    double series = 0, factor = square, factorial = 1;
    for (int k = 0; k < TERMS; k++) { /* B_2k / (2k) / x^2k */
        series += bernoulli[k] * factorial * factor;
        factorial *= (2.0 * k + 2) * (2.0 * k + 3);
        factor *= square;
    }
    return shift + log(x) - 0.5 / x - series;
}

/* The derivative number `order` of pi cot(pi x): pi^(order+1) times a polynomial in cot, each the
 * derivative of the one before times -(1 + cot^2). */
static double derivative_of_cotangent(double x, int order)
{
    double c[MOST_ORDERS + 2] = {0, 1};
    for (int n = 1; n <= order; n++) {
        double next[MOST_ORDERS + 2] = {0};
        for (int k = 1; k <= n; k++) {
            next[k - 1] -= k * c[k];
            next[k + 1] -= k * c[k];
        }
        for (int k = 0; k <= n + 1; k++)
            c[k] = next[k];
    }
    const double cotangent = 1 / tan(PI * fmod(x, 1));
    double total = 0;
    for (int k = order + 1; k >= 0; k--)
        total = total * cotangent + c[k];
    return pow(PI, order + 1) * total;
}

double mg_polygamma(double x, double n)
{
    if (n == 0)
        return digamma(x);
    if (!(n > 0 && n <= MOST_ORDERS) || n != floor(n) || x != x || x == -INFINITY)
        return NAN;
    const int odd = fmod(n, 2) != 0;
    if (x <= 0 && x == floor(x))
        return odd ? INFINITY : NAN;
    const double sign = odd ? 1 : -1; /* of the result for x > 0 */
    if (x < 0)
        return -sign * mg_polygamma(1 - x, n) - derivative_of_cotangent(x, (int)n);
    if (x == INFINITY)
        return 0;
    if (pow(x, n + 1) == 0)
        return sign * INFINITY;
    const double factorial = tgamma(n); /* (n - 1)! */
    double shift = 0;
    for (; x < FAR + n; x += 1)
        shift += n * factorial / pow(x, n + 1);
    const double power = factorial / pow(x, n), square = 1 / (x * x);
    double total = power + 0.5 * n * power / x, term = power;
    for (int k = 0; k < TERMS; k++) { /* B_2k (2k + n - 1)! / (2k)! / x^(2k + n) */
        term *= (n + 2.0 * k) * (n + 2.0 * k + 1) * square;
        total += bernoulli[k] * term;
    }
    return sign * (shift + total);
}
