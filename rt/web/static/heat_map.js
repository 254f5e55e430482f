// Muscle activity laid over the picture of a face that is followed. engines/emg/heat_landmarks.py describes the file.
//
// Its few thousand small triangles are filled by hand, at half the picture's size and only where something is active:
// that takes no graphics processor, and comes with the very picture that the landmarks are of.

const MAGIC = 0x484f594d, VERSION = 1, HEADER_BYTES = 28;
const MOST_WIDE = 480; // px of the raster; the map is smooth
const FAINT = 0.06, CLEAR = 0.4; // below the first nothing shows, from the second on the colour is at its densest
const DENSE = [0.3, 0.8]; // how much of the skin is covered when it begins to show, and at the densest
const LINE = 0.5, LINE_PX = 1.2; // a line where activity is half of the scale, for eyes that see no colours
const LINE_STEEP = 0.04; // per px; on flatter ground it would be a blot, and fades
const HATCH_PX = 9, HATCH_SHARE = 0.45; // period and width of the lines that say: estimated

export class HeatMap {
  constructor(buffer) {
    Object.assign(this, read(buffer));
    this.x = new Float32Array(this.points);
    this.y = new Float32Array(this.points);
    this.warmth = new Float32Array(this.points);
    this.solid = table(this.scale, 1);
    this.between = table(this.scale, 0.35); // between the lines of a hatch
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.pixels = null; // made when the picture's size is known
    this.filled = { left: 0, top: 0, right: 0, bottom: 0 };
  }

  // Lays the map over the picture in a 2D context, in the picture's own pixels.
  // landmarks: x, y, x, y, ... px. values: activity per channel, 1 = 100 %; NaN is left out. right: nothing beyond it.
  paint(context, landmarks, values, { width, height, right = width, hatched = false }) {
    const scale = this.fit(width, height);
    this.place(landmarks, scale);
    this.warm(values);
    this.clear();
    this.fill(Math.min(right * scale, this.canvas.width), hatched);
    const { left, top, right: end, bottom } = this.filled, wide = end - left, high = bottom - top;
    if (wide <= 0 || high <= 0) return;
    this.context.putImageData(this.pixels, 0, 0, left, top, wide, high);
    context.drawImage(this.canvas, left, top, wide, high, left / scale, top / scale, wide / scale, high / scale);
  }

  fit(width, height) {
    const scale = Math.min(1, MOST_WIDE / width), wide = Math.round(width * scale), high = Math.round(height * scale);
    if (!this.pixels || this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
      this.pixels = this.context.createImageData(wide, high);
      this.out = new Uint32Array(this.pixels.data.buffer);
    }
    return scale;
  }

  place(landmarks, scale) {
    const { x, y, first, middles } = this;
    for (let i = 0; i < first; i++) {
      x[i] = landmarks[2 * i] * scale;
      y[i] = landmarks[2 * i + 1] * scale;
    }
    for (let i = first, at = 0; i < this.points; i++, at += 2) {
      x[i] = (x[middles[at]] + x[middles[at + 1]]) / 2;
      y[i] = (y[middles[at]] + y[middles[at + 1]]) / 2;
    }
  }

  // One matrix product: points times channels, 1 = the scale's end.
  warm(values) {
    const { heat, warmth, channels } = this, unit = 100 / this.fullPercent / 255;
    for (let point = 0, at = 0; point < this.points; point++) {
      let sum = 0;
      for (let channel = 0; channel < channels; channel++, at++) {
        if (heat[at] && values[channel] > 0) sum += heat[at] * values[channel]; // NaN is not above 0
      }
      warmth[point] = sum * unit;
    }
  }

  clear() {
    const { left, top, right, bottom } = this.filled, width = this.canvas.width;
    for (let row = top; row < bottom; row++) this.out.fill(0, row * width + left, row * width + right);
    Object.assign(this.filled, { left: width, top: this.canvas.height, right: 0, bottom: 0 });
  }

  fill(end, hatched) {
    const { triangles, warmth } = this;
    for (let at = 0; at < triangles.length; at += 3) {
      const a = triangles[at], b = triangles[at + 1], c = triangles[at + 2];
      if (warmth[a] > FAINT || warmth[b] > FAINT || warmth[c] > FAINT) this.triangle(a, b, c, end, hatched);
    }
  }

  // Every pixel whose middle lies in the triangle; skin that is turned away is left out.
  triangle(a, b, c, end, hatched) {
    const { x, y, warmth, out, solid, between, filled } = this, width = this.canvas.width;
    const ax = x[a], ay = y[a], bx = x[b] - ax, by = y[b] - ay, cx = x[c] - ax, cy = y[c] - ay, area = bx * cy - by * cx;
    if (!(area > 1e-6)) return;
    const left = Math.max(0, Math.ceil(Math.min(ax, x[b], x[c]) - 0.5)), top = Math.max(0, Math.ceil(Math.min(ay, y[b], y[c]) - 0.5));
    const right = Math.min(end, Math.max(ax, x[b], x[c]) + 0.5), bottom = Math.min(this.canvas.height, Math.max(ay, y[b], y[c]) + 0.5);
    const warmer = warmth[b] - warmth[a], warmest = warmth[c] - warmth[a];
    const dx = (warmer * cy - warmest * by) / area, dy = (warmest * bx - warmer * cx) / area, steep = Math.hypot(dx, dy);
    const line = LINE_PX * steep, strength = Math.min(1, steep / LINE_STEEP) ** 2;
    let any = false;
    for (let row = top; row < bottom; row++) {
      const py = row + 0.5 - ay;
      for (let column = left; column < right; column++) {
        const px = column + 0.5 - ax, v = (px * cy - py * cx) / area, w = (py * bx - px * by) / area;
        if (v < -1e-4 || w < -1e-4 || v + w > 1.0001) continue;
        const warm = warmth[a] + v * warmer + w * warmest, place = Math.max(0, Math.min(255, 255 * warm)) | 0;
        const found = hatched && (column + row) % HATCH_PX >= HATCH_PX * HATCH_SHARE ? between : solid;
        const off = Math.abs(warm - LINE);
        out[row * width + column] = off < line ? lined(found[place], strength * (1 - off / line)) : found[place];
        any = true;
      }
    }
    if (any) grow(filled, left, top, Math.min(Math.ceil(right), width), Math.ceil(bottom));
  }
}

function grow(box, left, top, right, bottom) {
  if (left < box.left) box.left = left;
  if (top < box.top) box.top = top;
  if (right > box.right) box.right = right;
  if (bottom > box.bottom) box.bottom = bottom;
}

// A colour (AABBGGRR) on its way to white.
function lined(colour, share) {
  const keep = 1 - share, rest = 255 * share;
  const red = (colour & 255) * keep + rest, green = ((colour >> 8) & 255) * keep + rest, blue = ((colour >> 16) & 255) * keep + rest;
  const cover = (colour >>> 24) * keep + rest;
  return ((cover << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// 256 colours from rest to the scale's end, as the bytes of an image lie in memory; thinned: all of them paler.
function table(scale, thinned) {
  const found = new Uint8ClampedArray(4 * 256), steps = scale.length / 3;
  for (let i = 0; i < 256; i++) {
    const share = i / 255, step = 3 * Math.round(share * (steps - 1)), up = Math.min(1, Math.max(0, (share - FAINT) / (CLEAR - FAINT)));
    const begun = Math.min(1, Math.max(0, (share - FAINT) / FAINT));
    found.set(scale.subarray(step, step + 3), 4 * i);
    found[4 * i + 3] = 255 * thinned * begun * (DENSE[0] + (DENSE[1] - DENSE[0]) * up);
  }
  return new Uint32Array(found.buffer);
}

export function scaleColours({ scale }) {
  return Array.from({ length: scale.length / 3 }, (_, i) => `rgb(${scale.subarray(3 * i, 3 * i + 3).join(" ")})`);
}

function read(buffer) {
  const head = new DataView(buffer);
  if (buffer.byteLength < HEADER_BYTES || head.getUint32(0, true) !== MAGIC || head.getUint16(4, true) !== VERSION) {
    throw new Error("The session's heat map is of another version: reload the page.");
  }
  const channels = head.getUint16(6, true), [points, first, triangles, colours] = [8, 12, 16, 20].map((at) => head.getUint32(at, true));
  let at = HEADER_BYTES;
  const part = (Type, count) => {
    const found = new Type(buffer, at, count);
    at += 4 * Math.ceil(found.byteLength / 4);
    return found;
  };
  return {
    points, first, channels, fullPercent: head.getFloat32(24, true), middles: part(Uint16Array, 2 * (points - first)),
    triangles: part(Uint16Array, 3 * triangles), heat: part(Uint8Array, points * channels), scale: part(Uint8Array, 3 * colours),
  };
}
