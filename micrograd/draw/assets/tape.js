// A graph that is computed again: values forward, shares backward. GRAPH holds nodes in the order
// in which they are computed; PULLS and BOUNDED are generated from the table of ops.
const add = (a, b) => (Array.isArray(a) ? a.map((x, i) => add(x, b[i])) : a + b);
const isZero = (g) => (Array.isArray(g) ? g.every(isZero) : g === 0);
const isFiniteAll = (z) => (Array.isArray(z) ? z.every(isFiniteAll) : Number.isFinite(z));
const zeros = (x) => (Array.isArray(x) ? x.map(zeros) : 0);

class Tape {
  constructor(nodes, results, vectors) {
    this.nodes = nodes;
    this.results = results;
    this.vectors = vectors || {};
    this.inner = nodes.map((_, v) => v).filter((v) => nodes[v].k === "op");
    this.users = nodes.map(() => []);
    nodes.forEach((node, v) => node.a.forEach((u, i) => this.users[u].push([v, i])));
    this.fixed = this.reachedFromUnknown();
    this.events = [
      ...this.inner.map((v) => ({ way: "forward", v })),
      { way: "seed", v: results[results.length - 1] },
      ...[...this.inner].reverse().map((v) => ({ way: "backward", v })),
    ];
  }

  known(v) {
    const op = this.nodes[v].o;
    return op in this.vectors || (op in VALUES && op in PULLS);
  }

  // Leaves that an op which the page cannot compute depends on: they cannot be changed.
  reachedFromUnknown() {
    const fixed = this.nodes.map(() => false);
    for (let v = this.nodes.length - 1; v >= 0; v--) {
      const node = this.nodes[v];
      if (node.k === "op" && !this.known(v)) fixed[v] = true;
      if (fixed[v]) node.a.forEach((u) => (fixed[u] = true));
    }
    return fixed;
  }

  takesGradient(v) {
    return !["number", "constant", "target"].includes(this.nodes[v].k);
  }

  // All data, from those of the leaves; what cannot be computed keeps its number.
  forward(data) {
    const values = [...data];
    for (const v of this.inner) {
      if (!this.known(v)) continue;
      const node = this.nodes[v];
      const x = node.a.map((u) => values[u]);
      const vector = this.vectors[node.o];
      values[v] = vector ? vector.value(node, x) : VALUES[node.o](...x);
    }
    return values;
  }

  // What v sends back to each operand for the gradient g.
  pull(v, g, values) {
    const node = this.nodes[v];
    const x = node.a.map((u) => values[u]);
    if (!this.known(v)) return node.l.map((local) => (local === null ? NaN : g * local));
    const vector = this.vectors[node.o];
    if (vector) return vector.pull(node, g, values[v], x);
    if (BOUNDED.has(node.o) && isZero(g) && isFiniteAll(values[v])) return x.map(() => 0);
    return PULLS[node.o](g, values[v], ...x);
  }

  locals(v, values) {
    const node = this.nodes[v];
    if (!this.known(v)) return node.l;
    if (node.o in this.vectors) return node.a.map(() => null);
    return PULLS[node.o](1, values[v], ...node.a.map((u) => values[u]));
  }

  // For each backward step: the gradient that has arrived, and the shares. `given`: gradients that
  // the engine has computed, by node; they hold where there are any.
  backward(values, given) {
    const sums = this.nodes.map(() => null);
    for (const v of this.results) sums[v] = sums[v] === null ? 1 : sums[v] + 1;
    const flows = this.nodes.map(() => null);
    for (const v of [...this.inner].reverse()) {
      if (given && v in given) sums[v] = given[v];
      const g = sums[v] === null ? zeros(values[v]) : sums[v];
      const shares = this.pull(v, g, values);
      flows[v] = { g, shares };
      this.nodes[v].a.forEach((u, i) => {
        if (this.takesGradient(u)) sums[u] = sums[u] === null ? shares[i] : add(sums[u], shares[i]);
      });
    }
    return { flows, sums };
  }
}
