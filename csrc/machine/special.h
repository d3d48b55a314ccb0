/* Functions of one double that libm lacks; the formulas of micrograd/engine/special.py. */
#ifndef MG_SPECIAL_H
#define MG_SPECIAL_H

/* ln |gamma(x)|; infinite at the poles and at both infinities. */
double mg_log_gamma(double x);
/* The derivative number n of ln gamma's, n = 0 (digamma), 1, 2, ...; NaN for any other n. */
double mg_polygamma(double x, double n);

#endif
