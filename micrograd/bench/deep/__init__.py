"""`micrograd bench --deep`: skip connections and recomputation beside PyTorch's."""
