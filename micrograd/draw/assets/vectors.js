// The ops of a network on one sample: vectors, W as rows, and what each sends back.
const dotOf = (a, b) => a.reduce((total, x, i) => total + x * b[i], 0);
const softmaxOf = (z) => {
  const top = Math.max(...z);
  const powers = z.map((x) => Math.exp(x - top));
  const total = powers.reduce((sum, x) => sum + x, 0);
  return powers.map((x) => x / total);
};
const logSumExp = (z) => {
  const top = Math.max(...z);
  return top + Math.log(z.reduce((sum, x) => sum + Math.exp(x - top), 0));
};
const isLabel = (y) => !Array.isArray(y);
const probabilities = (y, n) => (isLabel(y) ? Array.from({ length: n }, (_, k) => (k === y ? 1 : 0)) : y);
const mean = (x) => x.reduce((sum, each) => sum + each, 0) / x.length;

// Each loss of z and y: its value, and its derivative with respect to z.
const LOSSES = {
  cross_entropy: {
    value: (z, y) => {
      const p = probabilities(y, z.length);
      return p.reduce((sum, each) => sum + each, 0) * logSumExp(z) - dotOf(p, z);
    },
    slope: (z, y) => {
      const p = probabilities(y, z.length);
      const total = p.reduce((sum, each) => sum + each, 0);
      return softmaxOf(z).map((a, k) => a * total - p[k]);
    },
  },
  bce: {
    value: (z, y) => mean(z.map((x, k) => VALUES.softplus(x) - x * y[k])),
    slope: (z, y) => z.map((x, k) => (VALUES.sigmoid(x) - y[k]) / z.length),
  },
  mse: {
    value: (z, y) => mean(z.map((x, k) => (x - y[k]) ** 2)),
    slope: (z, y) => z.map((x, k) => (2 * (x - y[k])) / z.length),
  },
  mae: {
    value: (z, y) => mean(z.map((x, k) => Math.abs(x - y[k]))),
    slope: (z, y) => z.map((x, k) => Math.sign(x - y[k]) / z.length),
  },
  huber: {
    value: (z, y) => mean(z.map((x, k) => {
      const d = Math.abs(x - y[k]);
      return d <= 1 ? (d * d) / 2 : d - 0.5;
    })),
    slope: (z, y) => z.map((x, k) => Math.min(1, Math.max(-1, x - y[k])) / z.length),
  },
};

const VECTORS = {
  linear: {
    value: (node, [x, W, b]) => W.map((row, i) => dotOf(row, x) + (b ? b[i] : 0)),
    pull: (node, g, z, [x, W, b]) => {
      const down = x.map((_, j) => W.reduce((sum, row, i) => sum + row[j] * g[i], 0));
      const outer = g.map((each) => x.map((v) => each * v));
      return b ? [down, outer, g] : [down, outer];
    },
    words: (node, n, [x, W, b]) => [
      n[1] + " " + n[0] + (b ? " + " + n[2] : ""),
      "row by row, the first: " + longSum(x.map((v, j) => bracketed(showNumber(W[0][j])) + "×" + bracketed(showNumber(v))), b ? " + " + bracketed(showNumber(b[0])) : ""),
    ],
    back: (node, i, n, me) => [n[1] + "ᵀ × ∂L/∂" + me, "∂L/∂" + me + " × " + n[0] + "ᵀ", "∂L/∂" + me + " itself"][i],
    cache: (node, name) => name(node.a[0]) + " stays in the cache: the gradient of " + name(node.a[1]) + " will want it.",
  },
  map: {
    value: (node, [x]) => x.map((v) => VALUES[node.f[0]](v, ...node.f.slice(1))),
    pull: (node, g, z, [x]) => [g.map((each, i) => PULLS[node.f[0]](each, z[i], x[i], ...node.f.slice(1))[0])],
    words: (node, n, [x]) => [node.s + "(" + n[0] + ")", "element by element, the first: " + node.s + "(" + showNumber(x[0]) + ")"],
    back: (node, i, n, me) => "∂L/∂" + me + " ⊙ " + node.s + "′, element by element",
    cache: (node, name) => "What " + node.s + "′ will be computed from stays in the cache.",
  },
  softmax: {
    value: (node, [x]) => softmaxOf(x),
    pull: (node, g, a) => {
      const along = dotOf(g, a);
      return [a.map((each, i) => each * (g[i] - along))];
    },
    words: (node, n) => ["softmax(" + n[0] + ")"],
    back: (node, i, n, me) => "(diag(" + me + ") - " + me + " " + me + "ᵀ) × ∂L/∂" + me,
  },
  add: {
    value: (node, [x, y]) => add(x, y),
    pull: (node, g) => [g, g],
    words: (node, n) => [n[0] + " + " + n[1]],
    back: (node, i, n, me) => "∂L/∂" + me + " itself: a sum passes it on to both",
  },
  mix: {
    value: (node, [h, t, x]) => t.map((each, i) => each * h[i] + (1 - each) * x[i]),
    pull: (node, g, z, [h, t, x]) => [
      g.map((each, i) => each * t[i]),
      g.map((each, i) => each * (h[i] - x[i])),
      g.map((each, i) => each * (1 - t[i])),
    ],
    words: (node, n) => [n[1] + "⊙" + n[0] + " + (1 - " + n[1] + ")⊙" + n[2]],
    back: (node, i, n, me) => ["∂L/∂" + me + " ⊙ " + n[1], "∂L/∂" + me + " ⊙ (" + n[0] + " - " + n[2] + ")", "∂L/∂" + me + " ⊙ (1 - " + n[1] + ")"][i],
  },
  concat: {
    value: (node, [x, y]) => [...x, ...y],
    pull: (node, g, z, [x]) => [g.slice(0, x.length), g.slice(x.length)],
    words: (node, n) => ["[" + n[0] + ", " + n[1] + "]"],
    back: (node, i, n, me) => "its part of ∂L/∂" + me,
  },
  dropout: {
    value: (node, [x]) => x,
    pull: (node, g) => [g],
    words: (node, n) => [n[0] + " (dropout is off)"],
    back: (node, i, n, me) => "∂L/∂" + me + " itself",
  },
  loss: {
    value: (node, [z, y]) => LOSSES[node.f[0]].value(z, y),
    pull: (node, g, value, [z, y]) => [LOSSES[node.f[0]].slope(z, y).map((each) => g * each), 0],
    words: (node, n) => [node.f[0] + "(" + n[0] + ", " + n[1] + ")"],
    back: (node, i, n) => node.f[1],
  },
};
