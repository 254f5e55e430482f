// The words between this page and its server: the twin of rt/web/protocol.py, which describes every field.

export const MAGIC = 0x504f594d;
export const VERSION = 3;
export const HEADER_BYTES = 80;
export const FRAME = 1, EMG = 2, STALE_FRAME = 4, STALE_EMG = 8, RECORDING = 16, FIXED_CROP = 32, SYNTHETIC = 64;
export const PRACTISE = 128, RAW = 256, RESTORED = 512, EDIT = 1024, NO_FACE = 2048;

const NONE = new Float32Array(0);
const BLOCKS = ["estimatePercent", "estimateSpread", "expression", "expressionEmg"];

// The newest packet, unpacked into arrays that are made once per session.
export class Live {
  constructor(channels, pairs) {
    this.flags = 0;
    this.id = 0;
    this.seq = 0;
    this.tCapture = NaN;
    this.tEmg = NaN;
    this.tSent = NaN;
    this.envelope = new Float32Array(channels);
    this.percent = new Float32Array(channels).fill(NaN);
    this.asymmetry = new Float32Array(pairs).fill(NaN);
    this.contact = new Uint8Array(channels);
    this.estimatePercent = new Float32Array(0); // these four are empty while nothing says them
    this.estimateSpread = new Float32Array(0);
    this.expression = new Float32Array(0);
    this.expressionEmg = new Float32Array(0);
    this.tExpression = NaN;
    this.tExpressionEmg = NaN;
    this.landmarks = NONE; // on the received buffer, like the picture that they are of
    this.jpeg = null; // Uint8Array on the received buffer, null without a picture
  }

  // Takes a packet over; throws when it is not one of ours or does not fit the montage that hello named.
  read(buffer) {
    const head = new DataView(buffer);
    if (buffer.byteLength < HEADER_BYTES || head.getUint32(0, true) !== MAGIC || head.getUint16(4, true) !== VERSION) {
      throw new Error("not a packet of version " + VERSION);
    }
    const channels = head.getUint16(12, true), pairs = head.getUint16(14, true), size = head.getUint32(48, true);
    if (channels !== this.envelope.length || pairs !== this.asymmetry.length) throw new Error("another montage");
    this.flags = head.getUint16(6, true);
    this.id = head.getUint32(8, true);
    this.tCapture = head.getFloat64(16, true);
    this.tEmg = head.getFloat64(24, true);
    this.tSent = head.getFloat64(32, true);
    this.seq = Number(head.getBigUint64(40, true));
    this.tExpression = head.getFloat64(64, true);
    this.tExpressionEmg = head.getFloat64(72, true);
    const sizes = BLOCKS.map((_, i) => head.getUint16(52 + 2 * i, true));
    const points = head.getUint32(60, true), said = sizes.reduce((a, b) => a + b, 2 * channels + pairs);
    const values = new Float32Array(buffer, HEADER_BYTES, said + points);
    let at = 0;
    for (const array of [this.envelope, this.percent, this.asymmetry]) at = copy(values, at, array);
    BLOCKS.forEach((name, i) => {
      if (this[name].length !== sizes[i]) this[name] = new Float32Array(sizes[i]);
      at = copy(values, at, this[name]);
    });
    this.landmarks = points ? values.subarray(said) : NONE;
    const start = HEADER_BYTES + 4 * values.length;
    this.contact.set(new Uint8Array(buffer, start, channels));
    this.jpeg = size ? new Uint8Array(buffer, start + channels, size) : null;
  }
}

// Fills an array from an offset on; returns where it ended.
function copy(from, offset, to) {
  for (let i = 0; i < to.length; i++) to[i] = from[offset + i];
  return offset + to.length;
}

// "orbicularis_oculi" -> "Orbicularis oculi"
export function muscleName(muscle) {
  const words = muscle.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}
