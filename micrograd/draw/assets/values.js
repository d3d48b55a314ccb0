// What each op of the table computes. The derivatives are not written here: they are generated
// from the same table as those of the engine (evaluator.py).
const SQRT_PI = Math.sqrt(Math.PI);

// erfc by its Taylor series near 0 and, beyond, by Lentz's continued fraction.
function erfcOf(x) {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 2 - erfcOf(-x);
  if (x < 2.5) return 1 - erfOf(x);
  if (x > 27.3) return 0;
  let fraction = 0;
  for (let k = 60; k > 0; k--) fraction = k / 2 / (x + fraction);
  return Math.exp(-x * x) / SQRT_PI / (x + fraction);
}

function erfOf(x) {
  if (Number.isNaN(x)) return NaN;
  if (Math.abs(x) >= 2.5) return x > 0 ? 1 - erfcOf(x) : erfcOf(-x) - 1;
  let term = x;
  let total = x;
  for (let n = 1; n < 80; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    total += term;
  }
  return (2 / SQRT_PI) * Math.exp(-x * x) * total;
}

// Stirling's series, after the argument has been moved beyond 12.
function lgammaOf(x) {
  if (x === Infinity || x === -Infinity) return Infinity;
  if (x <= 0 && x === Math.floor(x)) return Infinity;
  if (x === 1 || x === 2) return 0;
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgammaOf(1 - x);
  let product = 1;
  for (; x < 12; x++) product *= x;
  const r = 1 / (x * x);
  const tail = 1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r * (1 / 1188 - (r * 691) / 360360))));
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + tail / x - Math.log(product);
}

function digammaOf(x) {
  if (x === Infinity) return Infinity;
  if (x === 0) return Object.is(x, -0) ? Infinity : -Infinity;
  if (x < 0 && x === Math.floor(x)) return NaN;
  if (x < 0) return digammaOf(1 - x) - Math.PI / Math.tan(Math.PI * x);
  let shift = 0;
  for (; x < 12; x++) shift += 1 / x;
  const r = 1 / (x * x);
  const tail = r * (1 / 12 - r * (1 / 120 - r * (1 / 252 - r * (1 / 240 - r * (1 / 132 - (r * 691) / 32760)))));
  return Math.log(x) - 0.5 / x - tail - shift;
}

const BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510];

// The n-th derivative of digamma: Euler and Maclaurin's sum, after a shift; reflected for x < 0.
function polygammaOf(x, n) {
  if (n === 0) return digammaOf(x);
  if (!(n > 0 && n === Math.floor(n)) || n > 160 || Number.isNaN(x) || x === -Infinity) return NaN;
  if (x <= 0 && x === Math.floor(x)) return n % 2 ? Infinity : NaN;
  const sign = n % 2 ? 1 : -1;
  if (x < 0) return -sign * polygammaOf(1 - x, n) - cotangentSlope(x, n);
  if (x === Infinity) return 0;
  let factorial = 1;
  for (let k = 2; k < n; k++) factorial *= k;
  let shift = 0;
  for (; x < 15 + n; x++) shift += (n * factorial) / x ** (n + 1);
  let term = factorial / x ** n;
  let total = term + (n * term) / (2 * x);
  BERNOULLI.forEach((b, i) => {
    const k = 2 * i + 2;
    term *= ((k + n - 2) * (k + n - 1)) / ((k - 1) * k * x * x);
    total += b * term;
  });
  return sign * (total + shift);
}

// The n-th derivative of pi cot(pi x), a polynomial in the cotangent: c' = -pi (1 + c^2).
function cotangentSlope(x, n) {
  let powers = [0, 1];
  for (let i = 0; i < n; i++) {
    const next = new Array(powers.length + 1).fill(0);
    powers.forEach((c, k) => {
      if (k) next[k - 1] -= k * c;
      next[k + 1] -= k * c;
    });
    powers = next;
  }
  const cotangent = 1 / Math.tan(Math.PI * (x % 1));
  return Math.PI ** (n + 1) * powers.reduceRight((total, c) => total * cotangent + c, 0);
}

function roundEven(x) {
  const down = Math.floor(x);
  if (x - down !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

const sigmoidOf = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));

const VALUES = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  pow: (x, y) => (x === 1 ? 1 : x === -1 && !Number.isFinite(y) && y === y ? 1 : x ** y),
  maximum: (x, y) => (x > y || x !== x ? x : y),
  minimum: (x, y) => (x < y || x !== x ? x : y),
  leaky_relu: (x, y) => (x > 0 ? x : x * y),
  neg: (x) => -x,
  abs: (x) => Math.abs(x),
  exp: (x) => Math.exp(x),
  log: (x) => Math.log(x),
  sqrt: (x) => (x >= 0 ? Math.sqrt(x) : NaN),
  sin: (x) => Math.sin(x),
  cos: (x) => Math.cos(x),
  tanh: (x) => Math.tanh(x),
  sigmoid: sigmoidOf,
  relu: (x) => (x <= 0 ? 0 : x),
  softplus: (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x))),
  erfc: erfcOf,
  gelu: (x) => 0.5 * x * erfcOf(-x * Math.SQRT1_2),
  erf: erfOf,
  log1p: (x) => Math.log1p(x),
  expm1: (x) => Math.expm1(x),
  log2: (x) => Math.log2(x),
  log10: (x) => Math.log10(x),
  tan: (x) => Math.tan(x),
  asin: (x) => Math.asin(x),
  acos: (x) => Math.acos(x),
  atan: (x) => Math.atan(x),
  atan2: (x, y) => Math.atan2(x, y),
  sinh: (x) => Math.sinh(x),
  cosh: (x) => Math.cosh(x),
  asinh: (x) => Math.asinh(x),
  acosh: (x) => Math.acosh(x),
  atanh: (x) => Math.atanh(x),
  sign: (x) => (x > 0 ? 1 : x < 0 ? -1 : 0),
  floor: (x) => Math.floor(x),
  ceil: (x) => Math.ceil(x),
  round: roundEven,
  clamp: (x, low, high) => (x !== x ? x : Math.min(Math.max(x, low), high)),
  cbrt: (x) => Math.cbrt(x),
  hypot: (x, y) => Math.hypot(x, y),
  lgamma: lgammaOf,
  digamma: digammaOf,
  polygamma: polygammaOf,
  dot: (...x) => {
    const n = x.length >> 1;
    let total = x.length % 2 ? x[2 * n] : 0;
    for (let i = 0; i < n; i++) total += x[i] * x[n + i];
    return total;
  },
  sum: (...x) => x.reduce((total, each) => total + each, 0),
  where: (c, x, y) => (c !== 0 ? x : y),
  less: (x, y) => (x < y ? 1 : 0),
  less_equal: (x, y) => (x <= y ? 1 : 0),
  detach: (x) => x,
};
