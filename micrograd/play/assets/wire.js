// The line to the server: JSON both ways, pictures as bytes; it is taken up again when it breaks.

const TOKEN = new URLSearchParams(location.search).get('token') ?? '';
const withToken = (path) => `${path}${path.includes('?') ? '&' : '?'}token=${encodeURIComponent(TOKEN)}`;
const ANSWERS = 1;
const HEAD = 16;

class Wire {
  constructor(handlers) {
    this.handlers = handlers;
    this.opened = false;
    this.connect();
  }

  connect() {
    this.socket = new WebSocket(withToken(`ws://${location.host}/live`));
    this.socket.binaryType = 'arraybuffer';
    this.socket.onopen = () => {
      this.handlers.connected(!this.opened);
      this.opened = true;
    };
    this.socket.onmessage = ({ data }) => this.take(data);
    this.socket.onclose = () => {
      this.handlers.gone();
      setTimeout(() => this.connect(), 1000);
    };
  }

  take(data) {
    if (data instanceof ArrayBuffer) {
      this.bytes(data);
      return;
    }
    const message = JSON.parse(data);
    if (message.kind === 'draw') this.socket.send('{"do":"drawn"}');
    else this.handlers[message.kind]?.(message);
  }

  bytes(data) {
    const view = new DataView(data);
    const run = view.getUint8(1);
    if (view.getUint8(0) === ANSWERS) {
      this.handlers.answers({
        run, columns: view.getUint16(2, true), lines: view.getUint16(4, true),
        step: view.getFloat64(8, true), cells: new Uint8Array(data, HEAD),
      });
    } else {
      this.handlers.weights({
        run, layer: view.getUint8(2), layers: view.getUint8(3), rows: view.getUint32(4, true),
        columns: view.getUint32(8, true), largest: view.getFloat32(12, true),
        values: new Int8Array(data, HEAD),
      });
    }
  }

  send(what, more = {}) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ do: what, ...more }));
  }
}
