"""Networks in 8-bit integers, as integer arithmetic computes them."""
