"""The diagram of section 13, drawn from a network: forward, backward, and the cache between.

mg.draw takes the layers, shapes, equations and numbers from the network itself, and writes SVG, a
page to step through, Mermaid (as in the document), DOT or PNG.

Run: python demos/20_flow_diagram.py [--save FOLDER], which writes 20_flow_diagram.svg, .html, .mmd
"""

from xml.etree import ElementTree

import common
import numpy as np

import micrograd as mg

options = common.options(__doc__)

# %%
rng = np.random.default_rng(13)
X, y = rng.standard_normal((8, 4)), rng.integers(0, 3, 8)
net = mg.Network(mg.Linear(4, 5), mg.ReLU(), mg.Linear(5, 3), dtype="float64", seed=13)
drawing = mg.draw(net, X, y)
for ending in ("svg", "html", "mmd"):
    common.save(options, f"20_flow_diagram.{ending}", drawing)

# %% [markdown]
# What the document's diagram has, this one has: every quantity by its name.

# %%
texts = " ".join(ElementTree.fromstring(drawing.svg).itertext())
for line in drawing.mermaid.splitlines()[:8]:
    print(line if len(line) < 90 else f"{line[:87]}...")
for quantity in ("W1", "b1", "W2", "b2", "ReLU", "loss"):
    assert quantity in texts, quantity
assert "flowchart LR" in drawing.mermaid

# %% [markdown]
# The page holds the numbers of the engine: the deltas and gradients that explain gives.

# %%
e = net.explain(X, y)
print({name: array.shape for name, array in e.items() if name[:2] in ("dW", "de")})
assert e["delta2"].shape == (8, 3) and e["dW1"].shape == (5, 4)
assert "<script" in drawing.html and "http://" not in drawing.html.replace("http://www.w3.org", "")
print(f"the page: {len(drawing.html) / 1024:.0f} KiB, one file, no request")
