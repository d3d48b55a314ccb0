// Numbers as text.py writes them: the same digits.
const DIGITS = 5;

function showNumber(x) {
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return "0";
  const [mantissa, exponent] = Math.abs(x).toExponential(DIGITS - 1).split("e");
  const digits = mantissa.replace(".", "").replace(/0+$/, "");
  const power = Number(exponent);
  const minus = x < 0 ? "-" : "";
  if (-DIGITS < power && power < 0) return minus + "0." + "0".repeat(-power - 1) + digits;
  if (0 <= power && power < DIGITS) {
    const whole = digits.slice(0, power + 1).padEnd(power + 1, "0");
    const rest = digits.slice(power + 1);
    return minus + whole + (rest ? "." + rest : "");
  }
  return minus + digits[0] + (digits.length > 1 ? "." + digits.slice(1) : "") + "e" + power;
}

// null where the text is no number; inf, -inf and nan are numbers here, as in Python.
function parseNumber(text) {
  const word = text.trim().toLowerCase().replace("−", "-");
  const named = { nan: NaN, inf: Infinity, "+inf": Infinity, "-inf": -Infinity };
  if (word in named) return named[word];
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(word) ? Number(word) : null;
}

// A number, or an array of them in few words.
function show(x) {
  if (x === null || x === undefined) return "";
  if (!Array.isArray(x)) return showNumber(x);
  if (Array.isArray(x[0])) return x.length + " × " + x[0].length + ", norm " + showNumber(norm(x));
  const some = x.slice(0, 4).map(showNumber).join(", ");
  return "[" + some + (x.length > 4 ? ", … " + (x.length - 4) + " more" : "") + "]";
}

function norm(x) {
  return Math.hypot(...(Array.isArray(x) ? x.flat() : [x]));
}
