// The picture: decodes beside the page's thread, draws in order, as a mirror or as others see the person.

const WAITING = 2; // decoded pictures that may wait; the second is for two that arrive in one screen refresh
const BEHIND = 3; // screen refreshes in a row with one left over: then it is not a hiccup, and only the newest counts

export class Mirror {
  constructor(canvas, stage) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.stage = stage;
    this.mirrored = true;
    this.waiting = []; // decoded pictures that are not drawn yet, oldest first
    this.behind = 0;
    this.epoch = 0; // rises when everything under way is to be forgotten
    this.decoding = Promise.resolve(); // ends when the newest picture has been decoded and lined up
    this.last = null; // the one on the canvas, kept so that a flip shows at once
    this.packet = null; // that it came with
    this.overlay = null; // paint(context, packet, picture): what is drawn over every picture
  }

  // Decodes at once, lines up in order of arrival, then calls ready(). A picture that is not drawn is answered so.
  take(jpeg, packet, ready) {
    const epoch = this.epoch, before = this.decoding;
    const decoded = createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null); // null: damaged
    this.decoding = Promise.all([decoded, before]).then(([bitmap]) => {
      if (!bitmap || document.hidden || epoch !== this.epoch) {
        bitmap?.close();
        packet.reply(false);
        return;
      }
      this.waiting.push({ bitmap, packet });
      this.keep(WAITING);
      ready();
    });
  }

  // Forgets what is under way: the connection is lost or nobody looks.
  reset() {
    this.epoch++;
    this.keep(0);
  }

  // The packet that is now on the canvas, or null when nothing new was there.
  draw() {
    this.behind = this.waiting.length > 1 ? this.behind + 1 : 0;
    if (this.behind > BEHIND) this.keep(1);
    const next = this.waiting.shift();
    if (!next) return null;
    this.last?.close();
    this.last = next.bitmap;
    this.packet = next.packet;
    this.paint();
    return next.packet;
  }

  flip(mirrored) {
    this.mirrored = mirrored;
    this.again();
  }

  again() {
    if (this.last) this.paint();
  }

  keep(most) {
    while (this.waiting.length > most) {
      const { bitmap, packet } = this.waiting.shift();
      bitmap.close();
      packet.reply(false);
    }
  }

  paint() {
    const { canvas, context, last } = this;
    if (canvas.width !== last.width || canvas.height !== last.height) {
      canvas.width = last.width;
      canvas.height = last.height;
      this.stage.style.setProperty("--aspect", last.width / last.height);
      this.stage.closest("main").classList.toggle("wide", last.width > 1.5 * last.height);
    }
    if (this.mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
    else context.setTransform(1, 0, 0, 1, 0, 0);
    context.drawImage(last, 0, 0);
    this.overlay?.paint(context, this.packet, last);
  }
}
