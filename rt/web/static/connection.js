// The line to the server: opens, watches for silence, comes back by itself, and knows the server's clock.

const FRONTAL = 0x464f594d; // what such a block begins with: frontal.js reads it, nobody answers for it
const SILENCE_MS = 800; // the server sends something at least every 50 ms
const RETRY_MS = [150, 300, 600, 1000];

export class Connection {
  // on: {packet(buffer, reply), frontal(buffer), message(object), state("live" | "lost")}
  constructor(token, on) {
    this.url = `ws://${location.host}/live?token=${encodeURIComponent(token)}`;
    this.on = on;
    this.state = "connecting";
    this.tries = 0;
    this.heard = performance.now();
    this.offset = Infinity; // browser seconds minus server seconds, smallest seen: the least delayed packet is right
    this.unsent = [];
    this.hungUp = false; // the line was closed, and not merely silent
    this.open();
    setInterval(() => this.watch(), 100);
  }

  open() {
    this.hungUp = false;
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.opened = performance.now();
    this.offset = Infinity;
    socket.onopen = () => {
      socket.send(JSON.stringify({ visible: !document.hidden }));
      for (const wish of this.unsent.splice(0)) socket.send(wish);
    };
    socket.onmessage = (event) => this.receive(socket, event.data);
    socket.onclose = () => this.closed(socket);
  }

  receive(socket, data) {
    if (socket !== this.socket) return;
    this.heard = performance.now();
    this.tries = 0;
    this.become("live");
    if (typeof data === "string") this.on.message(JSON.parse(data));
    else if (new DataView(data).getUint32(0, true) === FRONTAL) this.on.frontal?.(data);
    else this.on.packet(data, (id, drawn, drawMs) => this.answer(socket, id, drawn, drawMs));
  }

  answer(socket, id, drawn, drawMs) {
    if (socket !== this.socket || socket.readyState !== WebSocket.OPEN) return;
    socket.send(`{"ack":${id},"drawn":${drawn},"draw_ms":${drawMs.toFixed(2)}}`);
  }

  // Sends a wish; while the line is down, stop is kept and sent as soon as it is back. Returns whether it went out.
  wish(command, value = null) {
    const text = JSON.stringify({ command, value });
    if (this.socket.readyState === WebSocket.OPEN && this.state === "live") {
      this.socket.send(text);
      return true;
    }
    if (command === "stop") this.unsent.push(text);
    return false;
  }

  visible(yes) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({ visible: yes }));
  }

  heardAt(serverSeconds, browserMs) {
    this.offset = Math.min(this.offset + 1e-6, browserMs / 1000 - serverSeconds);
  }

  // How old something is that the server stamped, in ms, as of now.
  ageMs(serverSeconds, browserMs) {
    return browserMs - (serverSeconds + this.offset) * 1000;
  }

  end() {
    this.state = "ended";
    this.socket.close();
  }

  watch() {
    const silent = performance.now() - this.heard > SILENCE_MS;
    if (silent && this.state === "live" && !document.hidden) this.become("lost");
    // A server that accepts but never speaks hangs: start over, with patience.
    if (silent && this.state === "lost" && performance.now() - this.opened > 3000) {
      const old = this.socket;
      this.retry();
      old.close();
    }
  }

  closed(socket) {
    if (socket !== this.socket || this.state === "ended") return;
    this.hungUp = true;
    this.become("lost");
    this.retry();
  }

  retry() {
    if (this.state === "ended") return;
    this.socket = { readyState: WebSocket.CLOSED, close() {} };
    this.opened = performance.now();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open(), RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]);
  }

  become(state) {
    if (this.state === state || this.state === "ended") return;
    this.state = state;
    this.on.state(state);
  }
}
