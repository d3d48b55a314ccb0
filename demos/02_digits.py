"""An MLP learns to read digits in a tenth of a second: the whole training loop of a user.

1797 scans of 8x8 pixels; a fifth is held out. Everything below is numpy and micrograd.

Run: python demos/02_digits.py [--save FOLDER], which plots what was taken for what, 02_digits.png
"""

import math
import time

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)
EPOCHS, BATCH, PEAK = 30, 32, 0.2

# %%
X, y = mg.data.digits()
X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)
net = mg.Network(mg.Linear(64, 256), mg.ReLU(), mg.Linear(256, 10), seed=0)
print(net)

# %%
steps = EPOCHS * math.ceil(len(X_train) / BATCH)
rate = mg.schedule.Cosine(PEAK, steps)
optimizer = mg.optim.SGD(net.parameters(), lr=rate, momentum=0.9, weight_decay=1e-3)
start = time.perf_counter()
held_out = X_test, y_test
history = net.fit(X_train, y_train, EPOCHS, BATCH, optimizer, validation=held_out, seed=0)
seconds = time.perf_counter() - start
for epoch in (1, 2, 5, 10, 20, 30):
    loss, accuracy = history.loss[epoch - 1], history.val_accuracy[epoch - 1]
    print(f"epoch {epoch:2}  loss {loss:.4f}  test accuracy {accuracy:.3f}")


# %% [markdown]
# What it got wrong, in characters:


# %%
def drawn(pixels):
    """An 8x8 digit in characters."""
    shades = " .:-=+*#%@"
    return ["".join(shades[int(p * 9)] * 2 for p in row) for row in pixels.reshape(8, 8)]


predicted = net.classify(X_test)
accuracy = float((predicted == y_test).mean())
print(f"{steps} steps in {seconds:.2f} s, test accuracy {accuracy:.1%}\n")
wrong = np.flatnonzero(predicted != y_test)[:4]
print("   ".join(f"{f'{y_test[i]} read as {predicted[i]}':16}" for i in wrong))
for row in zip(*(drawn(X_test[i]) for i in wrong), strict=True):
    print("   ".join(row))
common.save(options, "02_digits.png", lambda: mg.plot.confusion_matrix(y_test, predicted))
common.save(options, "02_digits_weights.png", lambda: mg.plot.weights(net, units=36))

assert accuracy >= 0.97, f"test accuracy {accuracy:.3f} is below 0.97"
