"""An MLP learns to read digits in a tenth of a second: the whole training loop of a user.

1797 scans of 8x8 pixels; a fifth is held out. Everything below is numpy and micrograd.
"""

import math
import time

import numpy as np

import micrograd as mg

EPOCHS, BATCH, PEAK = 30, 32, 0.2


def picture(pixels):
    """An 8x8 digit in characters."""
    shades = " .:-=+*#%@"
    return ["".join(shades[int(p * 9)] * 2 for p in row) for row in pixels.reshape(8, 8)]


def main():
    X, y = mg.data.digits()
    X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, 0.2, seed=0)
    net = mg.Network(mg.Linear(64, 256), mg.ReLU(), mg.Linear(256, 10), seed=0)
    print(net)

    steps = EPOCHS * math.ceil(len(X_train) / BATCH)
    optimizer = mg.optim.SGD(
        net.parameters(),
        lr=mg.schedule.Cosine(PEAK, steps),
        momentum=0.9,
        weight_decay=1e-3,
    )
    start = time.perf_counter()
    history = net.fit(
        X_train, y_train, EPOCHS, BATCH, optimizer, validation=(X_test, y_test), seed=0
    )
    seconds = time.perf_counter() - start
    for epoch in (1, 2, 5, 10, 20, 30):
        loss, accuracy = history.loss[epoch - 1], history.val_accuracy[epoch - 1]
        print(f"epoch {epoch:2}  loss {loss:.4f}  test accuracy {accuracy:.3f}")

    predicted = net.predict(X_test).argmax(axis=1)
    accuracy = float((predicted == y_test).mean())
    print(f"{steps} steps in {seconds:.2f} s, test accuracy {accuracy:.1%}\n")

    wrong = np.flatnonzero(predicted != y_test)[:4]
    print("What it got wrong:")
    print("   ".join(f"{f'{y_test[i]} read as {predicted[i]}':16}" for i in wrong))
    for row in zip(*(picture(X_test[i]) for i in wrong), strict=True):
        print("   ".join(row))

    if accuracy < 0.97:
        raise SystemExit(f"test accuracy {accuracy:.3f} is below 0.97")


if __name__ == "__main__":
    main()
