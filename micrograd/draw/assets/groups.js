// The page of a collapsed drawing: layer by layer, with what the engine found; nothing is computed.
class GroupPlayer extends Player {
  prepare() {
    this.groups = this.data.groups;
    this.users = this.groups.map(() => []);
    this.groups.forEach((group, v) => group.a.forEach((u) => this.users[u].push(v)));
    const inner = this.groups.map((_, v) => v).filter((v) => this.groups[v].a.length);
    this.events = [
      ...inner.map((v) => ({ way: "forward", v })),
      ...[...inner].reverse().map((v) => ({ way: "backward", v })),
    ];
    this.largest = Math.max(0, ...this.groups.map((group) => group.r || 0).filter(Number.isFinite));
    byId("reset").hidden = true;
  }

  // Which have data, and which have their whole gradient, after the first `at` steps.
  state() {
    const seen = this.groups.map((group) => !group.a.length);
    const sent = this.groups.map(() => false);
    const started = this.events.slice(0, this.at).some(({ way }) => way === "backward");
    for (const { way, v } of this.events.slice(0, this.at)) {
      if (way === "forward") seen[v] = true;
      else sent[v] = true;
    }
    const whole = this.users.map((users) => started && users.every((v) => sent[v]));
    return { seen, sent, whole };
  }

  render() {
    const { seen, whole } = this.state();
    this.groups.forEach((group, v) => {
      const data = seen[v] ? group.d : "";
      const grad = whole[v] ? group.g : "";
      this.view.text("d" + v, data);
      this.view.text("g" + v, grad);
      this.view.tint("g" + v, whole[v] ? group.r : null, this.largest);
      this.rows[v].data.textContent = data;
      this.rows[v].grad.textContent = grad;
    });
    this.renderStep();
    this.renderBar();
  }

  stepName(event) {
    return event ? event.way + ": " + this.groups[event.v].n : "before the first step";
  }

  renderStep() {
    const panel = byId("step");
    panel.replaceChildren();
    const event = this.at ? this.events[this.at - 1] : null;
    this.view.mark([], "now");
    document.querySelectorAll("#numbers tr.now").forEach((row) => row.classList.remove("now"));
    if (!event) {
      panel.append(make("p", "Before the first step", { class: "way" }));
      return;
    }
    const group = this.groups[event.v];
    const kind = event.way === "forward" ? "Forward" : "Backward";
    panel.append(make("p", kind + ", step " + this.at + " of " + this.events.length, { class: "way" }));
    panel.append(make("h2", group.n));
    const names = group.a.map((u) => this.groups[u].n).join(", ");
    const say = (text) => panel.append(make("p", text, { class: "equation" }));
    if (event.way === "forward") {
      say("from " + names);
      say("data " + group.d);
    } else {
      if (group.g) say("its gradient has all arrived: |grad| " + group.g);
      say("and goes on, times the local derivatives, to " + names);
    }
    const edges = group.a.map((_, i) => "e" + event.v + "-" + i);
    this.view.mark(["n" + event.v, ...edges], "now");
    this.rows[event.v].row.classList.add("now");
    if (this.followed) this.view.reveal("n" + event.v);
  }

  buildTable() {
    const body = byId("numbers").tBodies[0];
    this.groups.forEach((group, v) => {
      const row = make("tr");
      const head = make("th", undefined, { scope: "row" });
      const name = make("button", group.n, { type: "button", class: "name" });
      name.addEventListener("click", () => this.tell(v));
      head.append(name);
      const [data, grad] = [make("td"), make("td")];
      row.append(head, make("td", group.s), data, grad);
      body.append(row);
      this.rows[v] = { row, data, grad, input: null };
    });
  }

  tell(v) {
    this.selected = v;
    const group = this.groups[v];
    const story = byId("story");
    story.replaceChildren(make("h2", group.n));
    story.hidden = false;
    const facts = make("dl");
    facts.append(make("dt", "it holds"));
    group.m.forEach((line) => facts.append(make("dd", line, { class: "equation" })));
    const names = (list) => list.map((u) => this.groups[u].n).join(", ") || "nothing";
    facts.append(make("dt", "it uses"), make("dd", names(group.a), { class: "equation" }));
    facts.append(make("dt", "it is used by"), make("dd", names(this.users[v]), { class: "equation" }));
    story.append(facts, this.closeButton());
    this.view.also(["n" + v], "chosen");
  }
}
