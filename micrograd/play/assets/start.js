// All of it together.

const runs = [0, 1].map((number) => {
  const root = $(`run${number}`);
  return { root, plane: new Plane(root, (what, more) => wire.send(what, more)), layers: new Layers(root), cures: '' };
});
const send = (what, more) => {
  say('');
  wire.send(what, more);
};
const say = (text) => {
  if ($('message').textContent !== text) $('message').textContent = text;
};
const controls = new Controls(send, say);
let furthest = 0;
let lately = { at: performance.now(), frames: 0, rate: 0 };
// How many pictures have been drawn, for who wants to measure.
window.playground = { frames: () => runs.map((run) => run.plane.frames) };

function facts(run, figures, number) {
  const put = (name, text) => {
    const place = run.root.querySelector(`.${name}`);
    if (place.textContent !== text) place.textContent = text;
  };
  const trouble = run.root.querySelector('.trouble');
  trouble.hidden = !figures.trouble;
  if (trouble.textContent !== figures.trouble) trouble.textContent = figures.trouble;
  run.root.classList.toggle('empty', !figures.layers);
  for (const part of ['.facts', '.layers']) run.root.querySelector(part).hidden = !figures.layers;
  put('net', figures.network ? `${figures.network}, ${figures.parameters.toLocaleString('en')} parameters` : '');
  if (!figures.layers) return;
  const numbers = figures.accuracy === null;
  put('test', numbers ? short(figures.test_loss) : percent(figures.test_accuracy));
  put('training', numbers ? short(figures.loss) : percent(figures.accuracy));
  put('test-loss', short(figures.test_loss));
  put('loss', short(figures.loss));
  put('lr', short(figures.lr));
  curve(run.root.querySelector('.curve'), figures, figures.step);
  run.layers.show(figures);
  const key = JSON.stringify(figures.cures);
  if (key !== run.cures) {
    run.cures = key;
    run.root.querySelector('.cures').replaceChildren(...figures.cures.map((cure) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = cure.label;
      button.onclick = () => send('config', { run: number, set: cure.set });
      return button;
    }));
  }
  const right = numbers ? `loss ${short(figures.loss)}` : `${percent(figures.accuracy)} of the training rows right`;
  run.plane.over.setAttribute('aria-label', `What run ${'AB'[number]} answers at each place, and the points: ${right}`);
}

function pace(figures) {
  const now = performance.now();
  if (now - lately.at > 900) {
    const frames = runs[0].plane.frames;
    lately = { at: now, frames, rate: (1000 * (frames - lately.frames)) / (now - lately.at) };
  }
  $('pace').textContent = figures.rate
    ? `${Math.round(lately.rate)} pictures and ${Math.round(figures.rate).toLocaleString('en')} steps a second` : '';
}

let shown = null;
const wire = new Wire({
  connected(first) {
    say('');
    if (first && location.hash.length > 1) wire.send('open', { fragment: location.hash.slice(1) });
  },
  gone: () => say('The server does not answer: is `micrograd play` still running? Trying again …'),
  error: (message) => {
    say(message.error);
    if (controls.state) controls.fill();
  },
  state(state) {
    controls.show(state);
    runs.forEach((run, i) => run.plane.hand(state.configs[Math.min(i, state.configs.length - 1)].data === 'hand'));
  },
  points(message) {
    const run = runs[message.run];
    run.layers.image = message.image;
    run.plane.show(message);
  },
  answers: (frame) => runs[frame.run].plane.answers(frame),
  weights: (message) => runs[message.run].layers.weights(message),
  figures(figures) {
    shown = figures;
    figures.runs.forEach((each, i) => facts(runs[i], each, i));
    furthest = figures.furthest;
    $('time').max = String(furthest);
    if (document.activeElement !== $('time') || controls.state?.playing) $('time').value = String(figures.step);
    $('now').textContent = figures.step.toLocaleString('en');
    pace(figures);
  },
});

runs.forEach((run) => {
  run.plane.send = send;
  run.plane.pen = () => Number(document.querySelector('[name="pen"]:checked').value);
});
const toggle = () => send(controls.state?.playing ? 'pause' : 'play');
const compare = () => send('compare', { on: controls.state?.configs.length !== 2 });
$('play').onclick = toggle;
$('step').onclick = () => send('step');
$('reset').onclick = () => send('reset');
$('compare').onclick = compare;
$('speed').onchange = () => send('speed', { speed: Number($('speed').value) });
$('preset').onchange = () => {
  if ($('preset').value) send('preset', { name: $('preset').value });
  $('preset').value = '';
};
let seeking = null;
$('time').oninput = () => {
  $('now').textContent = Number($('time').value).toLocaleString('en');
  seeking ??= setTimeout(() => {
    seeking = null;
    send('rewind', { step: Number($('time').value) });
  }, 40);
};
async function copied(button, text) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = 'Copied';
  } catch {
    button.textContent = 'Not allowed';
  }
  setTimeout(() => { button.textContent = before; }, 1500);
}
$('link').onclick = () => copied($('link'), location.href);

// Taking a run away.

function save(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function exported(number, name) {
  const reply = await fetch(withToken(`/export/${number}/${name}`));
  if (!reply.ok) {
    say((await reply.json()).error);
    return null;
  }
  return reply.blob();
}

for (const button of document.querySelectorAll('[data-export]')) {
  button.onclick = async () => {
    const number = Number(button.closest('.run').id.slice(3));
    const name = button.dataset.export;
    say('');
    const blob = await exported(number, name);
    if (!blob) return;
    if (name !== 'program.py') {
      save(blob, name);
      return;
    }
    const text = await blob.text();
    $('code').querySelector('pre').textContent = text;
    $('copy').onclick = () => copied($('copy'), text);
    $('download').onclick = () => save(blob, name);
    $('code').showModal();
  };
}
$('close').onclick = () => $('code').close();

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $('code').open) return;
  if (event.target.closest('input, select, textarea, button, summary, [role="application"]')) return;
  const does = {
    ' ': toggle, ArrowRight: () => send('step'), Home: () => send('rewind', { step: 0 }),
    r: () => send('reset'), c: compare,
  }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!does) return;
  event.preventDefault();
  does();
});
addEventListener('hashchange', () => wire.send('open', { fragment: location.hash.slice(1) }));
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  readColours();
  runs.forEach((run) => {
    run.plane.paint();
    if (run.plane.points) run.plane.show(run.plane.points);
    run.layers.kept?.forEach((message) => message && run.layers.weights(message));
  });
  if (shown) shown.runs.forEach((each, i) => facts(runs[i], each, i));
});
readColours();
