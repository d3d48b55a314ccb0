"""`micrograd bench --scalar`: the scalar engine beside others."""
