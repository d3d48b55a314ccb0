// The layers: gradient norm, saturation, and weights as images.

const DECADES = 6; // from the largest gradient to the shortest bar

class Layers {
  constructor(root) {
    this.root = root;
    this.body = root.querySelector('tbody');
    this.rows = [];
    this.shape = '';
    this.image = null;
  }

  show(figures) {
    const shape = figures.layers.map((x) => `${x.name} ${x.layer} ${x.weights}`).join('|');
    if (shape !== this.shape) this.build(figures.layers, shape);
    const largest = Math.max(...figures.layers.map((x) => x.gradient ?? 0), 1e-30);
    figures.layers.forEach((x, i) => {
      const row = this.rows[i];
      const gradient = x.gradient ?? x.delta;
      const share = gradient > 0 ? Math.max(0.02, 1 + Math.log10(gradient / largest) / DECADES) : 0;
      this.meter(row.gradient, Math.min(1, share), short(gradient), x.verdict === 'vanishing' || x.verdict === 'exploding');
      const flat = x.saturated ?? x.dead;
      this.meter(row.flat, flat ?? 0, flat === null ? '–' : `${Math.round(100 * flat)} %`, flat > 0.5);
    });
    const verdict = this.root.querySelector('.verdict');
    const text = `${figures.verdict} ${figures.remedy}`;
    if (verdict.dataset.text !== text) {
      verdict.dataset.text = text;
      const word = document.createElement('b');
      word.textContent = figures.verdict;
      verdict.replaceChildren(word, figures.remedy);
      verdict.classList.toggle('bad', figures.verdict !== 'healthy');
    }
  }

  meter(cell, share, text, bad) {
    cell.bar.style.width = `${(100 * share).toFixed(1)}%`;
    if (cell.said.textContent !== text) cell.said.textContent = text;
    cell.root.classList.toggle('bad', bad);
  }

  build(layers, shape) {
    this.shape = shape;
    this.rows = layers.map((x) => {
      const row = document.createElement('tr');
      const name = document.createElement('th');
      name.scope = 'row';
      name.textContent = x.weights ? x.layer.replace('->', ' → ') : x.layer;
      const cells = ['gradient', 'flat'].map(() => {
        const cell = document.createElement('td');
        const root = document.createElement('div');
        const track = document.createElement('span');
        const bar = document.createElement('span');
        const said = document.createElement('span');
        root.className = 'meter';
        track.className = 'track';
        said.className = 'said';
        track.append(bar);
        root.append(track, said);
        cell.append(root);
        return { cell, root, bar, said };
      });
      const last = document.createElement('td');
      const canvas = document.createElement('canvas');
      if (x.weights) {
        canvas.setAttribute('role', 'img');
        last.append(canvas);
      }
      row.append(name, cells[0].cell, cells[1].cell, last);
      return { row, gradient: cells[0], flat: cells[1], canvas: x.weights ? canvas : null };
    });
    this.body.replaceChildren(...this.rows.map((each) => each.row));
    this.kept?.forEach((message) => this.weights(message));
  }

  weights(message) {
    this.kept ??= [];
    if (this.kept.length !== message.layers) this.kept = new Array(message.layers).fill(null);
    this.kept[message.layer] = message;
    const canvas = this.rows.filter((row) => row.canvas)[message.layer]?.canvas;
    if (!canvas) return;
    const picture = this.image && message.layer === 0 && message.columns === this.image[0] * this.image[1]
      ? this.tiles(message) : this.matrix(message);
    canvas.width = picture.width;
    canvas.height = picture.height;
    const cell = picture.tiled ? 3 : Math.max(1, Math.min(12, Math.floor(Math.min(300 / picture.width, 60 / picture.height))));
    canvas.style.width = `${picture.width * cell}px`;
    canvas.style.height = `${picture.height * cell}px`;
    canvas.getContext('2d').putImageData(picture.pixels, 0, 0);
    canvas.setAttribute('aria-label', `weights, ${message.rows} units of ${message.columns} inputs, the largest ${short(message.largest)}`);
    canvas.title = `${message.rows} units (${picture.units}) of ${message.columns} inputs; blue is positive, orange negative, the largest ${short(message.largest)}`;
  }

  colour(data, place, value) {
    const share = Math.abs(value) / 127;
    const full = value < 0 ? colours.negativeRgb : colours.positiveRgb;
    for (let c = 0; c < 3; c++) data[4 * place + c] = colours.paperRgb[c] + share * (full[c] - colours.paperRgb[c]);
    data[4 * place + 3] = 255;
  }

  // A column for each unit, a line for each of its inputs; the other way where inputs are many.
  matrix({ rows, columns, values }) {
    const upright = rows >= columns;
    const pixels = upright ? new ImageData(rows, columns) : new ImageData(columns, rows);
    for (let unit = 0; unit < rows; unit++) {
      for (let input = 0; input < columns; input++) {
        this.colour(pixels.data, upright ? input * rows + unit : unit * columns + input, values[unit * columns + input]);
      }
    }
    return { width: pixels.width, height: pixels.height, pixels, units: upright ? 'columns' : 'lines' };
  }

  // A picture for each unit, where inputs are the pixels of one.
  tiles({ rows, columns, values }) {
    const [high, wide] = this.image;
    const across = Math.min(rows, Math.max(1, Math.ceil(Math.sqrt(rows * 2))));
    const width = across * (wide + 1) - 1;
    const height = Math.ceil(rows / across) * (high + 1) - 1;
    const pixels = new ImageData(width, height);
    for (let unit = 0; unit < rows; unit++) {
      const x = (unit % across) * (wide + 1);
      const y = Math.floor(unit / across) * (high + 1);
      for (let i = 0; i < columns; i++) {
        this.colour(pixels.data, (y + Math.floor(i / wide)) * width + x + (i % wide), values[unit * columns + i]);
      }
    }
    return { width, height, pixels, tiled: true, units: 'pictures' };
  }
}
