// The drawing: texts, colours, what is marked, drag and zoom.
const DECADES = 4;
const FAINTEST = 0.15;
const SMALL = 0.62; // of the size at which it was drawn
const READABLE = 0.85;

function strength(x, largest) {
  if (x === null || x === 0 || Number.isNaN(x) || !(largest > 0)) return 0;
  if (!Number.isFinite(x) || !Number.isFinite(largest)) return Number.isFinite(x) ? FAINTEST : 1;
  return Math.min(1, Math.max(FAINTEST, 1 + Math.log10(Math.abs(x) / largest) / DECADES));
}

const toneOf = (x) => (x > 0 ? "p" : x < 0 ? "n" : "z");

class View {
  constructor(svg) {
    this.svg = svg;
    this.home = svg.getAttribute("viewBox").split(" ").map(Number);
    this.box = [...this.home];
    this.shown = new Map();
    this.marked = [];
    this.pointers = new Map();
    this.listen();
  }

  element(id) {
    return document.getElementById("mg-" + id);
  }

  text(id, text) {
    const element = this.element(id);
    if (element && this.shown.get(id) !== text) {
      this.shown.set(id, text);
      element.textContent = text;
    }
  }

  // The colour behind a number.
  tint(id, x, largest) {
    const element = this.element(id + "-tint");
    if (!element) return;
    element.setAttribute("class", "mg-t" + toneOf(x));
    element.setAttribute("fill-opacity", (x === null ? 0 : 0.4 * strength(x, largest)).toFixed(3));
  }

  // The colour of an edge, by what goes down it; null for nothing yet.
  edge(id, flow, largest) {
    const group = this.element(id);
    if (!group) return;
    const [line, tip] = group.querySelectorAll("path");
    const s = strength(flow, largest);
    line.setAttribute("class", "mg-wire mg-w" + toneOf(flow));
    tip.setAttribute("class", "mg-tip mg-t" + toneOf(flow));
    line.setAttribute("stroke-width", (1.1 + 2.2 * s).toFixed(2));
    line.setAttribute("stroke-opacity", flow ? (0.45 + 0.55 * s).toFixed(2) : "1");
  }

  mark(ids, kind) {
    this.marked.forEach(([element, name]) => element.classList.remove(name));
    this.marked = [];
    this.also(ids, kind);
  }

  also(ids, kind) {
    for (const element of ids.map((id) => this.element(id))) {
      if (!element) continue;
      element.classList.add(kind);
      this.marked.push([element, kind]);
    }
  }

  // Moves the drawing if an element is out of sight.
  reveal(id) {
    const element = this.element(id);
    if (!element) return;
    const inner = element.getBoundingClientRect();
    const outer = this.svg.getBoundingClientRect();
    const scale = this.scale();
    let moved = false;
    for (const [axis, from, to] of [[0, "left", "right"], [1, "top", "bottom"]]) {
      const before = inner[from] - outer[from] - 12;
      const after = inner[to] - outer[to] + 12;
      if (before < 0) moved = !!(this.box[axis] += before / scale);
      else if (after > 0) moved = !!(this.box[axis] += after / scale);
    }
    if (moved) this.apply();
  }

  scale() {
    const outer = this.svg.getBoundingClientRect();
    return Math.min(outer.width / this.box[2], outer.height / this.box[3]);
  }

  apply() {
    this.svg.setAttribute("viewBox", this.box.map((x) => x.toFixed(2)).join(" "));
  }

  // Where all of it is too small to read, a part of it, which follows the steps.
  readable() {
    const scale = this.scale();
    if (!(scale < SMALL)) return;
    const outer = this.svg.getBoundingClientRect();
    this.box = [0, 0, outer.width / READABLE, outer.height / READABLE];
    this.box[1] = Math.max(0, (this.home[3] - this.box[3]) / 2);
    this.apply();
  }

  fit() {
    this.box = [...this.home];
    this.apply();
  }

  // Zooms by a factor, around a point of the screen or the middle.
  zoom(factor, x, y) {
    const outer = this.svg.getBoundingClientRect();
    const limit = Math.min(Math.max(this.box[2] / factor, 60), this.home[2] * 8);
    const shrink = limit / this.box[2];
    const px = this.box[0] + this.box[2] * (x === undefined ? 0.5 : (x - outer.left) / outer.width);
    const py = this.box[1] + this.box[3] * (y === undefined ? 0.5 : (y - outer.top) / outer.height);
    this.box = [
      px + (this.box[0] - px) * shrink,
      py + (this.box[1] - py) * shrink,
      this.box[2] * shrink,
      this.box[3] * shrink,
    ];
    this.apply();
  }

  pan(dx, dy) {
    const scale = this.scale();
    this.box[0] -= dx / scale;
    this.box[1] -= dy / scale;
    this.apply();
  }

  listen() {
    const svg = this.svg;
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 500), event.clientX, event.clientY);
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
      this.travelled = 0;
    });
    svg.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
      svg.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const [dx, dy] = [event.clientX - before[0], event.clientY - before[1]];
    this.travelled += Math.abs(dx) + Math.abs(dy);
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    if (!others.length) this.pan(dx, dy);
    else {
      const far = (p) => Math.hypot(p[0] - others[0][0], p[1] - others[0][1]);
      const now = far([event.clientX, event.clientY]);
      if (far(before) > 0) this.zoom(now / far(before), others[0][0], others[0][1]);
    }
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
  }
}
