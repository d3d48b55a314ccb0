// The controls: what they show is what the server says; what is changed is sent to it.

const $ = (id) => document.getElementById(id);
const SHARED = ['data', 'samples', 'noise', 'arms', 'test', 'target'];
const DRAWN = ['moons', 'circles', 'spirals'];

class Controls {
  constructor(send, say) {
    this.send = send;
    this.say = say;
    this.form = $('controls');
    this.state = null;
    this.form.addEventListener('submit', (event) => event.preventDefault());
    this.form.addEventListener('change', (event) => this.changed(event.target));
    this.form.addEventListener('input', ({ target }) => {
      if (target.type === 'range') {
        this.printed(target);
        clearTimeout(this.waiting);
        this.waiting = setTimeout(() => this.changed(target), 120);
      }
    });
    $('fewer').onclick = () => this.layers((sizes) => sizes.slice(0, -1));
    $('more').onclick = () => this.layers((sizes) => [...sizes, sizes.at(-1) ?? 8]);
    $('clear').onclick = () => this.send('clear');
    $('file').onchange = () => this.file($('file').files[0]);
    $('paste').onclick = () => this.upload($('pasted').value, 'pasted.csv');
  }

  get side() {
    const two = this.state?.configs.length === 2;
    return two ? Number(this.form.elements.side.value) : 0;
  }

  set(values) {
    this.send('config', { run: this.side, set: values });
  }

  changed(field) {
    if (field.name === 'side') this.fill();
    if (!(field.name in (this.state?.configs[0] ?? {}))) return;
    clearTimeout(this.waiting);
    this.set({ [field.name]: field.type === 'checkbox' ? field.checked : field.value });
  }

  layers(change) {
    const sizes = $('layers').value.split(',').map((text) => text.trim()).filter((text) => text);
    this.set({ layers: change(sizes).join(',') });
  }

  show(state) {
    const first = this.state === null;
    this.state = state;
    const two = state.configs.length === 2;
    $('which').hidden = !two;
    $('runs').classList.toggle('two', two);
    $('run1').hidden = !two;
    $('compare').setAttribute('aria-pressed', String(two));
    $('play').textContent = state.playing ? 'Pause' : 'Play';
    $('speed').value = String(state.speed);
    this.table(state.table);
    this.fill();
    if (first) return;
    history.replaceState(null, '', `${location.pathname}${location.search}${state.fragment ? `#${state.fragment}` : ''}`);
  }

  fill() {
    const config = this.state.configs[this.side];
    for (const [name, value] of Object.entries(config)) {
      const field = this.form.elements[name];
      if (!field) continue;
      if (field.type === 'checkbox') field.checked = value;
      else if (!(field === document.activeElement && field.type === 'range')) field.value = Array.isArray(value) ? value.join(', ') : String(value);
      if (field.type === 'range') this.printed(field);
    }
    const { data } = config;
    const visible = { samples: DRAWN, noise: DRAWN, arms: ['spirals'] };
    for (const [name, of] of Object.entries(visible)) this.form.querySelector(`[data-of="${name}"]`).hidden = !of.includes(data);
    this.form.querySelector('[data-of="horizon"]').hidden = config.schedule === 'constant';
    for (const own of this.form.querySelectorAll('[data-data]')) own.hidden = own.dataset.data !== data;
  }

  printed(range) {
    const share = range.name === 'noise' ? Number(range.value).toFixed(2) : `${Math.round(100 * range.value)} %`;
    this.form.querySelector(`output[for="${range.name}"]`).textContent = share;
  }

  table(table) {
    const key = JSON.stringify(table);
    if (key === this.tableKey) return;
    this.tableKey = key;
    $('about-table').textContent = table
      ? `${table.name}: ${table.rows.toLocaleString('en')} rows, ${table.columns.length} columns. ${table.notes.join('; ')}`
      : 'No table yet: open a file or paste one.';
    $('target').replaceChildren(...(table?.columns ?? []).map((name) => new Option(name, name)));
  }

  async file(file) {
    if (file) await this.upload(file, file.name);
    $('file').value = '';
  }

  async upload(body, name) {
    const reply = await fetch(withToken(`/table?name=${encodeURIComponent(name)}`), { method: 'POST', body });
    const said = await reply.json();
    this.say(said.error ?? '');
  }
}
