// The page: steps forward and back, the panel beside the drawing, the table, changes of leaves.
const byId = (id) => document.getElementById(id);

function make(tag, text, attributes) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
  return element;
}

class Player {
  constructor(data, vectors) {
    this.data = data;
    this.view = new View(document.querySelector("svg.mg-drawing"));
    this.rows = [];
    this.timer = null;
    this.selected = null;
    this.prepare(vectors);
    this.at = this.events.length;
    this.buildTable();
    this.buildSamples();
    this.listen();
    this.view.readable();
    this.go(this.at);
  }

  // The graph, its numbers and the steps through it.
  prepare(vectors) {
    const { nodes, results, samples } = this.data;
    this.tape = new Tape(nodes, results, vectors);
    this.words = new Words(this.tape);
    this.events = this.tape.events;
    this.load(nodes.map((node) => node.v), samples ? samples[0].g : null);
  }

  // ---- numbers ----

  // Takes these leaves; `given` are the engine's numbers, which hold as long as nothing is changed.
  load(leaves, grads) {
    this.givenGrads = grads;
    this.leaves = leaves.map((x) => (Array.isArray(x) ? structuredClone(x) : x));
    this.given = leaves;
    this.compute();
  }

  compute() {
    const changed = this.changed();
    this.values = changed ? this.tape.forward(this.leaves) : this.given;
    const { flows, sums } = this.tape.backward(this.values, changed ? null : this.givenGrads);
    this.flows = flows;
    this.sums = sums;
    const sizes = (list) => Math.max(0, ...list.flat(3).map(Math.abs).filter(Number.isFinite));
    this.largest = sizes(sums.map((g, v) => (g === null || !this.tape.takesGradient(v) ? 0 : this.size(g))));
    this.largestFlow = sizes(flows.filter(Boolean).map(({ shares }) => shares.map((s) => this.size(s))));
    byId("reset").disabled = !changed;
    byId("changed").hidden = !changed;
  }

  size(g) {
    return Array.isArray(g) ? norm(g) : g;
  }

  changed() {
    return JSON.stringify(this.leaves, (_, x) => (typeof x === "number" ? String(x) : x)) !==
      JSON.stringify(this.given, (_, x) => (typeof x === "number" ? String(x) : x));
  }

  // What is known after the first `at` events: which nodes have data, and the gradients so far.
  state() {
    const seen = this.tape.nodes.map((node) => node.k !== "op");
    const grads = this.tape.nodes.map(() => null);
    const sent = this.tape.nodes.map(() => false);
    for (const { way, v } of this.events.slice(0, this.at)) {
      if (way === "forward") seen[v] = true;
      else if (way === "seed") this.tape.results.forEach((r) => (grads[r] = (grads[r] || 0) + 1));
      else {
        sent[v] = true;
        if (!this.tape.results.includes(v)) grads[v] = this.flows[v].g;
        this.tape.nodes[v].a.forEach((u, i) => {
          const share = this.flows[v].shares[i];
          if (this.tape.takesGradient(u)) grads[u] = grads[u] === null ? share : add(grads[u], share);
        });
      }
    }
    return { seen, grads, sent };
  }

  // ---- drawing and table ----

  render() {
    const { seen, grads, sent } = this.state();
    const nodes = this.tape.nodes;
    nodes.forEach((node, v) => {
      const data = seen[v] ? show(this.values[v]) : "";
      const grad = grads[v] === null ? "" : show(grads[v]);
      this.view.text("d" + v, node.c ? (data && this.short(this.values[v])) : data);
      this.view.text("g" + v, node.c ? (grad && this.short(grads[v])) : grad);
      this.view.tint("g" + v, grads[v] === null ? null : this.size(grads[v]), this.largest);
      node.a.forEach((u, i) => this.renderEdge(v, i, seen[v], sent[v]));
      this.renderRow(v, data, grad);
    });
    this.renderStep();
    this.renderBar();
  }

  renderBar() {
    byId("position").value = this.at;
    const now = this.at ? this.events[this.at - 1] : null;
    byId("position").setAttribute("aria-valuetext", this.stepName(now));
    byId("count").textContent = this.at + " / " + this.events.length;
    byId("first").disabled = byId("back").disabled = this.at === 0;
    byId("last").disabled = byId("forward").disabled = this.at === this.events.length;
  }

  // A vector or matrix on a card: its norm.
  short(x) {
    return Array.isArray(x) ? showNumber(norm(x)) : showNumber(x);
  }

  renderEdge(v, i, seen, sent) {
    const id = "e" + v + "-" + i;
    const local = this.tape.locals(v, this.values)[i];
    const flow = sent && this.tape.takesGradient(this.tape.nodes[v].a[i]) ? this.flows[v].shares[i] : null;
    if (local !== null || !(this.tape.nodes[v].o in this.tape.vectors)) {
      const none = Number.isNaN(local) && this.tape.nodes[this.tape.nodes[v].a[i]].k === "number";
      this.view.text(id + "-label", seen && !none ? (local === null ? "?" : showNumber(local)) : "");
    }
    this.view.edge(id, flow === null ? null : this.size(flow), this.largestFlow);
  }

  stepName(event) {
    if (!event) return "before the first step";
    const name = this.words.name(event.v);
    return event.way === "forward" ? "forward: " + name
      : event.way === "seed" ? "the gradient of the result itself" : "backward: " + name;
  }

  renderStep() {
    const panel = byId("step");
    panel.replaceChildren();
    const event = this.at ? this.events[this.at - 1] : null;
    this.view.mark([], "now");
    document.querySelectorAll("#numbers tr.now").forEach((row) => row.classList.remove("now"));
    if (!event) {
      panel.append(make("p", "Before the first step", { class: "way" }));
      panel.append(make("p", "The inputs have their numbers. Press the right arrow key, or play."));
      return;
    }
    const { way, v } = event;
    const kind = way === "forward" ? "Forward" : "Backward";
    panel.append(make("p", kind + ", step " + this.at + " of " + this.events.length, { class: "way" }));
    if (way === "forward") this.forwardStep(panel, v);
    else if (way === "seed") this.seedStep(panel);
    else this.backwardStep(panel, v);
    const edges = way === "seed" ? [] : this.tape.nodes[v].a.map((_, i) => "e" + v + "-" + i);
    const main = way === "forward" || !this.view.element("b" + v) ? "n" + v : "b" + v;
    this.view.mark([main, ...edges], "now");
    if (this.rows[v]) this.rows[v].row.classList.add("now");
    if (this.followed) this.view.reveal(main);
  }

  equations(panel, v) {
    const lines = this.words.equation(v, this.values);
    panel.append(make("p", this.words.name(v) + " = " + lines[0], { class: "equation" }));
    const sign = this.tape.nodes[v].o in this.tape.vectors ? "" : "= ";
    for (const line of lines.slice(1)) panel.append(make("p", sign + line, { class: "equation" }));
    panel.append(make("p", "= " + show(this.values[v]), { class: "equation result" }));
  }

  forwardStep(panel, v) {
    panel.append(make("h2", this.words.name(v)));
    this.equations(panel, v);
    const vector = this.tape.vectors[this.tape.nodes[v].o];
    if (vector && vector.cache) panel.append(make("p", vector.cache(this.tape.nodes[v], (u) => this.words.name(u)), { class: "way" }));
  }

  seedStep(panel) {
    const goal = this.words.goal;
    panel.append(make("h2", this.words.partial(goal, goal) + " = 1"));
    panel.append(make("p", "The way back begins at the result: its derivative with respect to itself is 1."));
  }

  backwardStep(panel, v) {
    const { g, shares } = this.flows[v];
    const node = this.tape.nodes[v];
    const vector = this.tape.vectors[node.o];
    panel.append(make("h2", "From " + this.words.name(v) + " to what it was made of"));
    panel.append(make("p", this.words.partial(this.words.goal, this.words.name(v)) + " = " + show(g), { class: "equation" }));
    const before = this.before(v);
    const locals = this.tape.locals(v, this.values);
    const list = make("dl");
    const limit = 12;
    node.a.slice(0, limit).forEach((u, i) => {
      if (!this.tape.takesGradient(u)) return;
      const name = this.words.name(u);
      list.append(make("dt", "to " + name));
      if (vector) list.append(make("dd", vector.back(node, i, node.a.map((each) => this.words.name(each)), this.words.name(v)), { class: "equation" }));
      else {
        const local = locals[i];
        list.append(make("dd", this.words.partial(this.words.name(v), name) + " = " + (local === null ? "?" : showNumber(local)), { class: "equation" }));
        const product = show(g) + " × " + (local === null ? "?" : bracketed(showNumber(local))) + " = " + show(shares[i]);
        list.append(make("dd", "upstream × local = " + product, { class: "equation" }));
        this.view.text("e" + v + "-" + i + "-label", product);
      }
      const sum = before[i] === null ? shares[i] : add(before[i], shares[i]);
      const start = before[i] === null ? "" : show(before[i]) + " + " + bracketed(show(shares[i])) + " = ";
      list.append(make("dd", this.words.partial(this.words.goal, name) + (this.complete(u, v, i) ? " = " : " so far = ") + start + show(sum), { class: "equation result" }));
    });
    if (node.a.length > limit) list.append(make("dd", "… and " + (node.a.length - limit) + " operands more: see the table"));
    panel.append(list);
  }

  // The sums of the operands of v before this step, operand by operand.
  before(v) {
    const sums = this.tape.nodes.map(() => null);
    for (const r of this.tape.results) sums[r] = (sums[r] || 0) + 1;
    for (const each of [...this.tape.inner].reverse()) {
      if (each === v) break;
      this.share(each, sums);
    }
    return this.tape.nodes[v].a.map((u, i) => {
      const sum = sums[u];
      const share = this.flows[v].shares[i];
      if (this.tape.takesGradient(u)) sums[u] = sum === null ? share : add(sum, share);
      return sum;
    });
  }

  share(v, sums) {
    this.tape.nodes[v].a.forEach((u, i) => {
      const share = this.flows[v].shares[i];
      if (this.tape.takesGradient(u)) sums[u] = sums[u] === null ? share : add(sums[u], share);
    });
  }

  // Whether the gradient of u has all its shares once v has sent its i-th.
  complete(u, v, i) {
    const users = this.tape.users[u];
    const last = Math.min(...users.map(([w]) => w));
    return v === last && i === Math.max(...users.filter(([w]) => w === v).map(([, j]) => j));
  }

  // ---- a node's whole story ----

  tell(v) {
    this.selected = v;
    const story = byId("story");
    const node = this.tape.nodes[v];
    story.replaceChildren(make("h2", this.words.name(v)));
    story.hidden = false;
    const facts = make("dl");
    const fact = (name, text) => facts.append(make("dt", name), make("dd", text, { class: "equation" }));
    fact("what it is", this.kindOf(node));
    if (node.k === "op") fact("computed as", this.words.equation(v, this.values).join(this.tape.nodes[v].o in this.tape.vectors ? "; " : " = "));
    fact(Array.isArray(this.values[v]) ? "data" : "data, exactly", Array.isArray(this.values[v]) ? show(this.values[v]) : String(this.values[v]));
    const users = this.tape.users[v].filter(() => this.tape.takesGradient(v));
    if (users.length || this.tape.results.includes(v)) {
      const parts = users.map(([w, i]) => {
        const share = this.flows[w].shares[i];
        const local = this.tape.locals(w, this.values)[i];
        return "from " + this.words.name(w) + ": " + (local === null ? "" : show(this.flows[w].g) + " × " + bracketed(showNumber(local)) + " = ") + show(share);
      });
      if (this.tape.results.includes(v)) parts.unshift("it is a result: 1");
      parts.slice(0, 12).forEach((part, i) => fact(i ? "" : "gradient arrives", part));
      if (parts.length > 12) fact("", "… and " + (parts.length - 12) + " more");
      const sum = this.sums[v];
      fact(parts.length > 1 ? "and adds up to" : Array.isArray(sum) ? "gradient" : "gradient, exactly", Array.isArray(sum) ? show(sum) : String(sum));
    } else fact("gradient", "it takes none");
    story.append(facts);
    if (this.changeable(v) && Array.isArray(this.leaves[v])) story.append(this.entryForm(v));
    story.append(this.closeButton());
    this.view.also(["n" + v], "chosen");
  }

  // A form that changes one entry of a vector or matrix.
  entryForm(v) {
    const form = make("form", undefined, { class: "entry" });
    const matrix = Array.isArray(this.leaves[v][0]);
    const sizes = matrix ? [this.leaves[v].length, this.leaves[v][0].length] : [this.leaves[v].length];
    const field = (text, attributes) => {
      const label = make("label", text + " ");
      const input = make("input", undefined, { type: "text", inputmode: "decimal", size: 8, ...attributes });
      label.append(input);
      form.append(label);
      return input;
    };
    const at = this.entry && this.entry.v === v ? this.entry.at : sizes.map(() => 0);
    const places = sizes.map((n, i) => field(matrix ? ["row", "column"][i] : "entry", {
      type: "number", min: 0, max: n - 1, value: at[i],
    }));
    const read = () => places.map((place, i) => Math.min(Math.max(0, Math.round(Number(place.value) || 0)), sizes[i] - 1));
    const value = field("is");
    const showEntry = () => (value.value = showNumber(read().reduce((x, i) => x[i], this.leaves[v])));
    places.forEach((place) => place.addEventListener("input", showEntry));
    showEntry();
    form.append(make("button", "Set"));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const x = parseNumber(value.value);
      value.setAttribute("aria-invalid", String(x === null));
      if (x === null) return this.say("“" + value.value + "” is no number");
      this.entry = { v, at: read() };
      const last = this.entry.at.slice(0, -1).reduce((row, i) => row[i], this.leaves[v]);
      last[this.entry.at[this.entry.at.length - 1]] = x;
      this.changedEntry(v);
    });
    return form;
  }

  changedEntry(v) {
    this.compute();
    this.render();
    const results = this.tape.results.map((r) => this.words.name(r) + " = " + show(this.values[r]));
    this.say(this.words.name(v) + "[" + this.entry.at.join(", ") + "] was set: " + results.join(", "));
    this.tell(v);
  }

  kindOf(node) {
    return {
      leaf: "a leaf: what one may change to change the result",
      constant: "a constant: no gradient is taken with respect to it",
      number: "a plain number",
      input: "an input",
      target: "the target: what the result should be",
      op: "the result of " + (node.o || "an op"),
    }[node.k];
  }

  closeButton() {
    const button = make("button", "Close", { type: "button" });
    button.addEventListener("click", () => this.closeStory());
    return button;
  }

  closeStory() {
    this.selected = null;
    byId("story").hidden = true;
    this.renderStep();
  }

  // ---- the table, and changes ----

  buildTable() {
    const body = byId("numbers").tBodies[0];
    this.tape.nodes.forEach((node, v) => {
      const row = make("tr");
      const head = make("th", undefined, { scope: "row" });
      const name = make("button", this.words.name(v), { type: "button", class: "name" });
      name.addEventListener("click", () => this.tell(v));
      head.append(name);
      const data = make("td");
      const grad = make("td");
      let input = null;
      if (this.editable(v)) {
        input = make("input", undefined, { type: "text", inputmode: "decimal", spellcheck: "false", "aria-label": "data of " + this.words.name(v) });
        input.addEventListener("change", () => this.edit(v, input));
        data.append(input);
      }
      row.append(head, make("td", node.s || node.k), data, grad);
      body.append(row);
      this.rows[v] = { row, data, grad, input };
    });
  }

  changeable(v) {
    return !["op", "target"].includes(this.tape.nodes[v].k) && !this.tape.fixed[v];
  }

  editable(v) {
    const node = this.tape.nodes[v];
    return this.changeable(v) && typeof this.leaves[v] === "number";
  }

  renderRow(v, data, grad) {
    const { data: cell, grad: gradCell, input } = this.rows[v];
    if (input) {
      if (document.activeElement !== input) input.value = showNumber(this.leaves[v]);
    } else if (cell.textContent !== data) cell.textContent = data;
    if (gradCell.textContent !== grad) gradCell.textContent = grad;
  }

  edit(v, input) {
    const x = parseNumber(input.value);
    input.setAttribute("aria-invalid", String(x === null));
    if (x === null) {
      this.say("“" + input.value + "” is no number; " + this.words.name(v) + " stays " + showNumber(this.leaves[v]));
      return;
    }
    if (input.value !== showNumber(this.leaves[v])) this.set(v, x);
  }

  set(v, x) {
    this.leaves[v] = x;
    this.compute();
    this.render();
    const results = this.tape.results.map((r) => this.words.name(r) + " = " + show(this.values[r]));
    this.say(this.words.name(v) + " = " + showNumber(x) + ": " + results.join(", "));
    if (this.selected !== null) this.tell(this.selected);
  }

  reset() {
    this.load(this.given, this.givenGrads);
    this.rows.forEach(({ input }) => input && input.setAttribute("aria-invalid", "false"));
    this.render();
    if (this.selected !== null) this.tell(this.selected);
    this.say("The numbers are the engine's again.");
  }

  say(text) {
    byId("message").textContent = text;
  }

  buildSamples() {
    const samples = this.data.samples || [];
    const choice = byId("sample");
    if (!choice) return;
    samples.forEach((sample, i) => choice.append(make("option", sample.n, { value: i })));
    choice.addEventListener("change", () => this.choose(Number(choice.value)));
  }

  choose(i) {
    const sample = this.data.samples[i];
    this.load(this.data.nodes.map((node, v) => (v in sample.v ? sample.v[v] : node.v)), sample.g);
    this.render();
    if (this.selected !== null) this.tell(this.selected);
  }

  // ---- steps ----

  go(at) {
    this.at = Math.min(Math.max(at, 0), this.events.length);
    this.followed = true;
    this.render();
    this.followed = false;
    if (this.at === this.events.length) this.pause();
  }

  play() {
    if (this.at === this.events.length) this.at = 0;
    this.pause();
    const delay = 900 / Number(byId("speed").value);
    this.timer = setInterval(() => this.go(this.at + 1), delay);
    this.showPlaying(true);
    this.render();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.showPlaying(false);
  }

  showPlaying(playing) {
    byId("play").textContent = playing ? "Pause" : "Play";
    byId("play").setAttribute("aria-pressed", String(playing));
  }

  toggle() {
    if (this.timer) this.pause();
    else this.play();
  }

  step(by) {
    this.pause();
    this.go(this.at + by);
  }

  faster(by) {
    const speed = byId("speed");
    speed.selectedIndex = Math.min(Math.max(speed.selectedIndex + by, 0), speed.options.length - 1);
    if (this.timer) this.play();
  }

  listen() {
    const on = (id, does) => byId(id).addEventListener("click", does);
    on("play", () => this.toggle());
    on("back", () => this.step(-1));
    on("forward", () => this.step(1));
    on("first", () => this.step(-Infinity));
    on("last", () => this.step(Infinity));
    on("reset", () => this.reset());
    byId("speed").addEventListener("change", () => this.timer && this.play());
    const position = byId("position");
    position.max = this.events.length;
    position.addEventListener("input", () => this.step(Number(position.value) - this.at));
    this.view.svg.addEventListener("click", (event) => {
      const card = event.target.closest("g[id^='mg-n'],g[id^='mg-b']");
      if (card && !(this.view.travelled > 6)) this.tell(Number(card.id.slice(4)));
    });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inField = event.target.matches("input[type=text], input[type=number], select");
    if (event.key === "Enter" && event.target.matches("td input")) {
      this.edit(this.rows.findIndex(({ input }) => input === event.target), event.target);
      return;
    }
    if (event.key === "Escape") {
      if (inField) event.target.blur();
      this.closeStory();
      return;
    }
    if (inField) return;
    if (event.key === " " && event.target.matches("button")) return;
    const onSlider = event.target.matches("input[type=range]");
    const keys = {
      " ": () => this.toggle(),
      ArrowRight: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      Home: () => this.step(-Infinity),
      End: () => this.step(Infinity),
      "]": () => this.faster(1),
      "[": () => this.faster(-1),
    };
    if (!onSlider && event.key in keys) {
      keys[event.key]();
      event.preventDefault();
    } else zoomKey(this.view, event);
  }
}
