// The plane: what the network answers everywhere, and the points that it learns from.

const colours = { version: 0 };

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  for (const name of ['paper', 'card', 'ink', 'muted', 'line', 'positive', 'negative', 'focus']) colours[name] = read(name);
  const probe = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (text) => {
    probe.fillStyle = text;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const resolve = (name) => {
    const text = read(name);
    return text.startsWith('var(--') ? read(text.slice(6, -1)) : text;
  };
  colours.classes = Array.from({ length: 10 }, (_, k) => resolve(`class-${k}`));
  colours.paperRgb = rgb(colours.paper);
  colours.positiveRgb = rgb(colours.positive);
  colours.negativeRgb = rgb(colours.negative);
  // For each class its 256 shades, from not sure to sure, as pixels of a canvas.
  colours.shades = colours.classes.map((text) => {
    const full = rgb(text);
    return Uint32Array.from({ length: 256 }, (_, sure) => {
      const share = 0.06 + 0.56 * (sure / 255);
      const [r, g, b] = full.map((x, i) => Math.round(colours.paperRgb[i] + share * (x - colours.paperRgb[i])));
      return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
    });
  });
  colours.version += 1;
}

// Classes differ by shape as well as by colour.
function marker(pen, shape, x, y, r) {
  pen.beginPath();
  if (shape === 0) pen.arc(x, y, r, 0, 2 * Math.PI);
  else if (shape === 1) pen.rect(x - 0.86 * r, y - 0.86 * r, 1.72 * r, 1.72 * r);
  else {
    const corners = [0, 0, 3, 4, 5, 6, 3, 4, 8, 7][shape];
    const turn = shape === 6 ? Math.PI / 2 : shape === 7 ? Math.PI / 4 : -Math.PI / 2;
    for (let i = 0; i < corners; i++) {
      const angle = turn + (2 * Math.PI * i) / corners;
      const far = shape === 8 && i % 2 ? 0.5 * r : 1.2 * r;
      pen.lineTo(x + far * Math.cos(angle), y + far * Math.sin(angle));
    }
    pen.closePath();
  }
}

function sized(canvas) {
  const scale = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  return { pen, width, height };
}

class Plane {
  constructor(root, send) {
    this.root = root;
    this.send = send;
    this.under = root.querySelector('.answers');
    this.over = root.querySelector('.points');
    this.small = document.createElement('canvas');
    this.points = null;
    this.cross = null;
    this.frames = 0;
    this.byHand = false;
    this.pen = () => 0;
    this.over.addEventListener('click', (event) => this.clicked(event, event.shiftKey));
    this.over.addEventListener('contextmenu', (event) => {
      if (!this.byHand) return;
      event.preventDefault();
      this.clicked(event, true);
    });
    this.over.addEventListener('keydown', (event) => this.key(event));
    this.over.addEventListener('blur', () => {
      this.cross = null;
      this.mark();
    });
    new ResizeObserver(() => {
      this.paint();
      this.mark();
      this.signs();
    }).observe(root.querySelector('.stack'));
  }

  answers(frame) {
    this.frames += 1;
    this.frame = frame;
    this.paint();
  }

  paint() {
    const { pen, width, height } = sized(this.under);
    pen.clearRect(0, 0, width, height);
    if (!this.frame) return;
    const { columns, lines, cells } = this.frame;
    if (this.small.width !== columns || this.small.height !== lines || !this.image) {
      this.small.width = columns;
      this.small.height = lines;
      this.image = new ImageData(columns, lines);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    for (let i = 0, j = 0; i < this.pixels.length; i++, j += 2) this.pixels[i] = colours.shades[cells[j]][cells[j + 1]];
    this.small.getContext('2d').putImageData(this.image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.imageSmoothingQuality = 'high';
    pen.drawImage(this.small, 0, 0, width, height);
  }

  show(points) {
    this.points = points;
    if (!points.x.length) {
      this.frame = null;
      this.paint();
    }
    this.mark();
    const named = points.classes.length ? points.classes : points.x.length ? ['below the mean', 'above the mean'] : [];
    this.root.querySelector('.classes').replaceChildren(...named.map((name) => {
      const item = document.createElement('li');
      const sign = document.createElement('canvas');
      sign.setAttribute('aria-hidden', 'true');
      item.append(sign, name);
      return item;
    }));
    this.signs();
    const { names, note, test, x, rows } = points;
    const held = test.some((t) => t) ? ' Hollow points are held out for the test.' : '';
    const fewer = rows > x.length ? ` ${x.length.toLocaleString('en')} of ${rows.toLocaleString('en')} rows are shown.` : '';
    this.root.querySelector('.axes').textContent = names[0] ? `→ ${names[0]}, ↑ ${names[1]}.${held}${fewer}` : '';
    this.root.querySelector('.note').textContent = x.length ? note : '';
  }

  // The signs of the classes; a page that was hidden draws them when it is shown.
  signs() {
    if (!this.points) return;
    this.root.querySelectorAll('.classes canvas').forEach((sign, k) => {
      const { pen } = sized(sign);
      pen.clearRect(0, 0, 16, 16);
      this.dot(pen, this.points.classes.length ? k % 10 : 0, k % 10, 8, 8, 5.5, false);
    });
  }

  place(x, y) {
    const [x0, x1, y0, y1] = this.points.box;
    return [((x - x0) / (x1 - x0)) * this.over.clientWidth, ((y1 - y) / (y1 - y0)) * this.over.clientHeight];
  }

  dot(pen, shape, k, x, y, r, hollow) {
    marker(pen, shape, x, y, r);
    pen.lineWidth = 2.4;
    pen.strokeStyle = colours.paper;
    pen.stroke();
    pen.lineWidth = hollow ? 1.8 : 1;
    pen.strokeStyle = colours.classes[k];
    pen.fillStyle = hollow ? colours.paper : colours.classes[k];
    pen.fill();
    pen.stroke();
  }

  mark() {
    const { pen, width, height } = sized(this.over);
    pen.clearRect(0, 0, width, height);
    if (!this.points) return;
    const { x, y, of, test, classes, image } = this.points;
    const r = x.length > 600 ? 2.6 : width < 300 ? 3 : 4;
    pen.font = `700 ${r > 3 ? 12 : 11}px system-ui, sans-serif`;
    pen.textAlign = 'center';
    pen.textBaseline = 'middle';
    for (let i = 0; i < x.length; i++) {
      const [px, py] = this.place(x[i], y[i]);
      if (image) {
        pen.lineWidth = 2.5;
        pen.strokeStyle = colours.paper;
        pen.fillStyle = colours.classes[of[i] % 10];
        pen.strokeText(classes[of[i]], px, py);
        pen.fillText(classes[of[i]], px, py);
      } else if (classes.length) this.dot(pen, of[i] % 10, of[i] % 10, px, py, r, test[i]);
      else this.number(pen, of[i], px, py, r, test[i]);
    }
    if (this.cross) {
      const [px, py] = this.place(...this.cross);
      pen.lineWidth = 2;
      pen.strokeStyle = colours.ink;
      pen.beginPath();
      pen.moveTo(px - 10, py);
      pen.lineTo(px + 10, py);
      pen.moveTo(px, py - 10);
      pen.lineTo(px, py + 10);
      pen.stroke();
    }
  }

  // A number: orange below the mean, blue above, paler near it.
  number(pen, share, x, y, r, hollow) {
    const k = share > 0.5 ? 1 : 0;
    pen.globalAlpha = 0.25 + 0.75 * Math.min(1, Math.abs(share - 0.5) * 2);
    this.dot(pen, 0, k, x, y, r, hollow);
    pen.globalAlpha = 1;
  }

  // Points by hand.

  hand(byHand) {
    this.byHand = byHand;
    this.root.classList.toggle('drawing', byHand);
    this.over.setAttribute('role', byHand ? 'application' : 'img');
    this.over.setAttribute('aria-roledescription', byHand ? 'a plane to set points on' : 'picture');
  }

  clicked(event, erase) {
    if (!this.byHand || !this.points) return;
    const box = this.over.getBoundingClientRect();
    const [x0, x1, y0, y1] = this.points.box;
    const x = x0 + ((event.clientX - box.left) / box.width) * (x1 - x0);
    const y = y1 - ((event.clientY - box.top) / box.height) * (y1 - y0);
    this.send(erase ? 'erase' : 'point', erase ? { x, y } : { x, y, class: this.pen() });
  }

  key(event) {
    if (!this.byHand || !this.points || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 0.01 : 0.08;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    const [x, y] = this.cross ?? [0, 0];
    const [x0, x1, y0, y1] = this.points.box;
    if (moves[event.key]) {
      const [dx, dy] = moves[event.key];
      this.cross = [Math.max(x0, Math.min(x1, x + dx)), Math.max(y0, Math.min(y1, y + dy))];
      this.mark();
    } else if (event.key === 'Enter') this.send('point', { x, y, class: this.pen() });
    else if (event.key === 'Delete' || event.key === 'Backspace') this.send('erase', { x, y });
    else if ('123'.includes(event.key)) document.querySelector(`[name="pen"][value="${Number(event.key) - 1}"]`).checked = true;
    else return;
    this.cross ??= [0, 0];
    event.preventDefault();
    event.stopPropagation();
  }
}
