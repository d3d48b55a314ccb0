// Brings the page to life. Where there is nothing to step through, drag and zoom remain.
function revive(x) {
  if (Array.isArray(x)) return x.map(revive);
  if (x && typeof x === "object") return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, revive(v)]));
  return { "\u0000nan": NaN, "\u0000inf": Infinity, "\u0000-inf": -Infinity }[x] ?? x;
}

function zoomKey(view, event) {
  const keys = {
    "+": () => view.zoom(1.25),
    "=": () => view.zoom(1.25),
    "-": () => view.zoom(0.8),
    0: () => view.fit(),
  };
  if (event.key in keys) {
    keys[event.key]();
    event.preventDefault();
  }
}

function start(vectors) {
  const data = revive(JSON.parse(document.getElementById("graph").textContent));
  if (data.steps) {
    window.player = data.groups ? new GroupPlayer(data) : new Player(data, vectors);
    return window.player.view;
  }
  const view = new View(document.querySelector("svg.mg-drawing"));
  document.addEventListener("keydown", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) zoomKey(view, event);
  });
  return view;
}

const view = start(typeof VECTORS === "undefined" ? {} : VECTORS);
document.getElementById("zoom-in").addEventListener("click", () => view.zoom(1.25));
document.getElementById("zoom-out").addEventListener("click", () => view.zoom(0.8));
document.getElementById("fit").addEventListener("click", () => view.fit());
window.addEventListener("beforeprint", () => view.fit());
