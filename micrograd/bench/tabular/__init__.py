"""micrograd on tables, beside what else learns from them."""
