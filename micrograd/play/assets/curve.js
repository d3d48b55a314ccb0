// The loss by step, on a logarithmic scale.

function short(x) {
  if (x === null || x === undefined) return '–';
  if (x === 0) return '0';
  const size = Math.abs(x);
  if (size >= 0.01 && size < 1e5) return String(Number(x.toPrecision(3)));
  return x.toExponential(1).replace('e-', 'e−').replace('e+', 'e');
}

const percent = (x) => (x === null || x === undefined ? '–' : `${(100 * x).toFixed(1)} %`);

// Places on an axis from 10^low to 10^high, and what they are called: powers of ten, or steps between.
function ticks(low, high) {
  const every = Math.max(1, Math.ceil((high - low) / 5));
  const steps = high - low > 1.6 ? [1] : high - low > 0.9 ? [1, 3] : [1, 2, 3, 5, 7];
  const found = [];
  for (let k = Math.floor(low); k <= high; k++) {
    for (const step of steps) {
      const at = k + Math.log10(step);
      if (k % every === 0 && at >= low - 1e-9 && at <= high + 1e-9) {
        found.push([10 ** at, k < -3 || k > 4 ? `${step}e${k}`.replace('-', '−') : String(Number((step * 10 ** k).toPrecision(3)))]);
      }
    }
  }
  return found;
}

function curve(canvas, figures, now) {
  const { pen, width, height } = sized(canvas);
  pen.clearRect(0, 0, width, height);
  const { step, loss, test } = figures.curve;
  const seen = [...loss, ...test].filter((x) => x > 0);
  if (!seen.length) return;
  let low = Math.log10(Math.min(...seen));
  let high = Math.log10(Math.max(...seen));
  low = Math.min(Math.floor(low * 4) / 4, high - 0.5);
  high = Math.max(Math.ceil(high * 4) / 4, low + 0.5);
  const left = 54;
  const bottom = height - 22;
  const top = 8;
  const last = Math.max(1, step[step.length - 1], now);
  const at = (s, x) => [
    left + ((width - left - 10) * s) / last,
    top + ((bottom - top) * (high - Math.log10(x))) / (high - low),
  ];
  pen.font = '12px system-ui, sans-serif';
  pen.fillStyle = colours.muted;
  pen.strokeStyle = colours.line;
  pen.lineWidth = 1;
  pen.textAlign = 'right';
  pen.textBaseline = 'middle';
  for (const [x, text] of ticks(low, high)) {
    const [, y] = at(0, x);
    pen.globalAlpha = 0.45;
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(width - 10, y);
    pen.stroke();
    pen.globalAlpha = 1;
    pen.fillText(text, left - 6, y);
  }
  pen.textBaseline = 'top';
  pen.textAlign = 'left';
  pen.fillText('0', left, bottom + 6);
  pen.textAlign = 'right';
  pen.fillText(`${last.toLocaleString('en')} steps`, width - 10, bottom + 6);
  const line = (values, colour, dash) => {
    pen.strokeStyle = colour;
    pen.lineWidth = 2.2;
    pen.lineJoin = 'round';
    pen.setLineDash(dash);
    pen.beginPath();
    let down = false;
    values.forEach((x, i) => {
      if (!(x > 0)) {
        down = false;
        return;
      }
      const [px, py] = at(step[i], x);
      if (down) pen.lineTo(px, py);
      else pen.moveTo(px, py);
      down = true;
    });
    pen.stroke();
    pen.setLineDash([]);
  };
  line(test, colours.negative, [6, 4]);
  line(loss, colours.positive, []);
  if (now < last) {
    const [px] = at(now, 1);
    pen.strokeStyle = colours.focus;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(px, top);
    pen.lineTo(px, bottom);
    pen.stroke();
  }
}
