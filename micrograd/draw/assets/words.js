// What happens at a step, in words and equations.
const SIGNS = { add: "+", sub: "-", mul: "×", div: "/", pow: "^" };
const TERMS = 5; // of a long sum, before it is cut

function bracketed(text) {
  return /^-| /.test(text) ? "(" + text + ")" : text;
}

function longSum(terms, more) {
  const some = terms.slice(0, TERMS).join(" + ");
  return terms.length > TERMS ? some + " + … " + (terms.length - TERMS) + " more" + more : some + more;
}

// An op applied to texts: names, or numbers.
function applied(op, symbol, x) {
  if (op in SIGNS && x.length === 2) {
    return bracketed(x[0]) + " " + SIGNS[op] + " " + bracketed(x[1]);
  }
  if (op === "neg") return "-" + bracketed(x[0]);
  if (op === "sum") return x.length ? longSum(x.map(bracketed), "") : "0";
  if (op === "dot") {
    const n = x.length >> 1;
    const products = [];
    for (let i = 0; i < n; i++) products.push(bracketed(x[i]) + "×" + bracketed(x[n + i]));
    return longSum(products, x.length % 2 ? " + " + bracketed(x[2 * n]) : "");
  }
  if (op === "where") return x[1] + " if " + x[0] + " else " + x[2];
  if (op === "abs") return "|" + x[0] + "|";
  return (symbol || op) + "(" + x.join(", ") + ")";
}

class Words {
  constructor(tape) {
    this.tape = tape;
    this.goal = tape.results.length === 1 ? this.name(tape.results[0]) : "total";
  }

  name(v) {
    const node = this.tape.nodes[v];
    if (node.n) return node.n;
    if (node.k === "number") return showNumber(node.v);
    return "#" + v;
  }

  equation(v, values) {
    const node = this.tape.nodes[v];
    const vector = this.tape.vectors[node.o];
    if (vector) return vector.words(node, node.a.map((u) => this.name(u)), node.a.map((u) => values[u]));
    const names = applied(node.o, node.s, node.a.map((u) => this.name(u)));
    const numbers = applied(node.o, node.s, node.a.map((u) => show(values[u])));
    return names === numbers ? [names] : [names, numbers];
  }

  partial(of, by) {
    const one = (name) => (/^[#\p{L}\p{N}_.[\]^¹²³]*$/u.test(name) ? "∂" + name : "∂(" + name + ")");
    return one(of) + "/" + one(by);
  }
}
