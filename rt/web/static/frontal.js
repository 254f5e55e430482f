// The face without its head's turn, beside the mirror: picture, pose in degrees, and how evenly both sides move.
// What arrives is the twin of rt/web/frontal.py, which describes every field.

import { element, set } from "./bars.js";
import { Face3D } from "./face3d.js";

const HEADER_BYTES = 60, VALUES_AT = 24, VERSION = 2, SHOWN = 1, TURNED = 2;
const KEY = "myomirror-frontal", AVATAR_KEY = "myomirror-avatar", TOKEN_KEY = "myomirror-token";
const NOTABLE = 30; // percentage points of asymmetry that healthy people reach
const REGIONS = [["Brows", "lateral_frontalis"], ["Eyes", "orbicularis_oculi"], ["Mouth", "zygomaticus"]]; // and their muscle
const SENTENCES = {
  3: "No face found",
  4: "Not the face that was taken as neutral",
  5: "Not while another picture is shown",
  10: "Look into the camera, to begin",
  11: "Open your eyes, to begin",
  12: "Relax your face, to begin",
  13: "Hold still…",
  14: "Come closer, to begin",
  15: "More light from the front, to begin",
};
const $ = (id) => document.getElementById(id);

export class FrontalView {
  // wish: (name, value) to the session.
  constructor(wish) {
    this.panel = $("frontal");
    this.canvas = $("frontal-picture");
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.state = 0;
    this.t = NaN; // server seconds of the picture that the newest block is of
    this.values = new Float32Array(9).fill(NaN);
    this.bitmap = null; // on the canvas
    this.decoding = false;
    this.next = null; // the newest JPEG while another one is being decoded
    this.mirrored = true;
    this.expression = new Float32Array(0); // beyond the neutral face
    this.face = null; // the avatar, once it is asked for
    this.rows = REGIONS.map(([name, muscle]) => this.row(name, muscle));
    $("face-symmetry").replaceChildren(...this.rows.map((row) => row.item));
    this.open = JSON.parse(sessionStorage.getItem(KEY) ?? "true");
    $("show-frontal").addEventListener("click", () => this.choose(!this.open));
    $("neutral").addEventListener("click", () => wish("neutral", null));
    this.avatar = JSON.parse(sessionStorage.getItem(AVATAR_KEY) ?? "false");
    $("avatar").addEventListener("click", () => this.wear(!this.avatar));
  }

  row(name, muscle) {
    const item = element("li", "symmetry-row"), gauge = element("div", "gauge"), value = element("b", "", "–");
    const mark = element("div", "gauge-mark"), emg = element("div", "gauge-mark gauge-emg"), words = element("small", "soft", "");
    gauge.setAttribute("role", "meter");
    gauge.setAttribute("aria-label", `Asymmetry of the ${name.toLowerCase()}, from the picture`);
    for (const [what, number] of [["min", -100], ["now", 0], ["max", 100]]) gauge.setAttribute(`aria-value${what}`, String(number));
    gauge.append(emg, mark);
    item.append(element("span", "symmetry-name", name), value, gauge, words);
    return { item, gauge, mark, emg, value, words, muscle, pair: -1, state: "" };
  }

  build(hello, choices) {
    this.mirrored = choices.mirrored;
    this.face?.setMirrored(this.mirrored);
    this.limitMs = hello.frame_limit_ms;
    for (const row of this.rows) row.pair = hello.amplifier ? hello.pairs.findIndex((pair) => pair.muscle === row.muscle) : -1;
    $("frontal-emg-key").hidden = this.rows.every((row) => row.pair < 0);
    this.paint();
  }

  enable(controls) {
    $("neutral").disabled = !controls;
  }

  choose(open) {
    this.open = open;
    sessionStorage.setItem(KEY, JSON.stringify(open));
    this.show();
  }

  show() {
    const shown = this.open && this.state !== 0;
    $("show-frontal").hidden = this.state === 0;
    $("show-frontal").setAttribute("aria-pressed", String(shown));
    this.panel.hidden = !shown;
    this.panel.closest(".mirror").classList.toggle("with-frontal", shown);
    $("avatar").setAttribute("aria-pressed", String(this.avatar));
    this.canvas.hidden = $("frontal-by").hidden = this.avatar; // a network paints the own face only
    $("frontal-avatar").hidden = !this.avatar;
    if (shown && this.avatar && !this.face) this.load();
  }

  // The movement on nobody's face instead of the own pixels.
  wear(avatar) {
    this.avatar = avatar;
    sessionStorage.setItem(AVATAR_KEY, JSON.stringify(avatar));
    this.note("");
    this.show();
  }

  async load() {
    const token = encodeURIComponent(sessionStorage.getItem(TOKEN_KEY) ?? "");
    const face = (this.face = new Face3D($("frontal-avatar"), `/face.bin?token=${token}`));
    face.setMirrored(this.mirrored);
    this.note("Making the 3D face…");
    try {
      await face.load();
      this.note("");
    } catch (error) {
      this.face = null; // so that the next click asks again
      this.avatar = false;
      this.show();
      this.note(error.message);
    }
  }

  note(text) {
    set($("frontal-note"), text);
    $("frontal-note").hidden = !text;
  }

  // One block as it comes.
  take(buffer) {
    const head = new DataView(buffer);
    if (buffer.byteLength < HEADER_BYTES || head.getUint16(4, true) !== VERSION) throw new Error("not a frontal block");
    const first = this.state === 0;
    this.state = head.getUint16(6, true);
    this.t = head.getFloat64(16, true);
    for (let i = 0; i < this.values.length; i++) this.values[i] = head.getFloat32(VALUES_AT + 4 * i, true);
    const count = head.getUint32(12, true), at = HEADER_BYTES + 4 * count;
    this.expression = new Float32Array(buffer.slice(HEADER_BYTES, at));
    if (first) this.show();
    if (head.getUint32(8, true) && !this.panel.hidden && !this.avatar && !document.hidden) this.decode(new Uint8Array(buffer, at));
  }

  // One at a time; of those that come meanwhile only the newest counts.
  async decode(jpeg) {
    if (this.decoding) {
      this.next = jpeg;
      return;
    }
    this.decoding = true;
    const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null); // null: damaged
    this.decoding = false;
    if (bitmap) {
      this.bitmap?.close();
      this.bitmap = bitmap;
      this.paint();
    }
    const next = this.next;
    this.next = null;
    if (next) this.decode(next);
  }

  paint() {
    const { canvas, context, bitmap } = this;
    if (!bitmap) return;
    if (canvas.width !== bitmap.width) canvas.width = canvas.height = bitmap.width;
    context.setTransform(this.mirrored ? -1 : 1, 0, 0, 1, this.mirrored ? canvas.width : 0, 0);
    context.drawImage(bitmap, 0, 0);
  }

  // Every drawn packet: only transforms.
  draw(live) {
    if (this.panel.hidden) return;
    if (this.avatar && this.face?.ready) {
      if (this.expression.length) this.face.setExpression(this.expression);
      this.face.draw();
    }
    this.rows.forEach((row, i) => {
      const found = this.values[6 + i], muscle = row.pair < 0 ? NaN : live.asymmetry[row.pair];
      const state = Number.isNaN(found) ? "none" : Math.abs(found) >= NOTABLE ? "notable" : "even";
      if (state !== row.state) row.gauge.dataset.state = row.state = state;
      if (state !== "none") row.mark.style.transform = this.place(found);
      row.emg.hidden = Number.isNaN(muscle);
      if (!row.emg.hidden) row.emg.style.transform = this.place(muscle);
    });
  }

  place(asymmetry) {
    return `translateX(${((this.mirrored ? 1 : -1) * Math.max(-100, Math.min(100, asymmetry))) / 2}%)`;
  }

  // A few times a second. emg: "live", "old" or "none".  ageMs: of the picture that the newest block is of.
  write(live, emg, ageMs) {
    if (!this.state) return;
    const old = !(ageMs <= this.limitMs);
    const turned = this.state === TURNED && !old;
    this.panel.dataset.state = old ? "old" : this.state === SHOWN ? "shown" : turned ? "turned" : "waiting";
    $("turn-hint").hidden = !turned;
    if (this.panel.hidden) return;
    set($("frontal-state"), old ? `${(ageMs / 1000).toFixed(1)} s old` : this.sentence());
    $("frontal-state").hidden = this.state === SHOWN && !old;
    const [yaw, pitch, roll] = old ? [NaN, NaN, NaN] : this.values;
    set($("pose-yaw"), degrees(yaw, "left", "right"));
    set($("pose-pitch"), degrees(pitch, "up", "down"));
    set($("pose-roll"), degrees(roll, "left", "right"));
    this.rows.forEach((row, i) => this.writeRow(row, old ? NaN : this.values[6 + i], emg === "live" ? live.asymmetry[row.pair] : NaN));
  }

  writeRow(row, found, muscle) {
    const words = describe(found);
    set(row.value, words);
    set(row.words, row.pair < 0 ? "" : `EMG ${describe(muscle ?? NaN)}`);
    const told = row.pair < 0 ? words : `${words}; by EMG ${describe(muscle ?? NaN)}`;
    if (row.gauge.getAttribute("aria-valuetext") === told) return;
    row.gauge.setAttribute("aria-valuenow", String(Number.isNaN(found) ? 0 : Math.round(found)));
    row.gauge.setAttribute("aria-valuetext", told);
  }

  sentence() {
    if (this.state !== TURNED) return SENTENCES[this.state] ?? "";
    const hidden = Math.round(100 * this.values[5]);
    return `Turned by ${Math.round(this.values[3])}°: not to be relied on${hidden >= 5 ? `, ${hidden} % hidden` : ""}`;
  }
}

// Angles as the person has them: yaw and roll to the own left are positive.
function degrees(angle, plus, minus) {
  if (Number.isNaN(angle)) return "–";
  const whole = Math.round(angle);
  return whole === 0 ? "0°" : `${Math.abs(whole)}° ${whole > 0 ? plus : minus}`;
}

function describe(asymmetry) {
  if (Number.isNaN(asymmetry)) return "–";
  const rounded = Math.round(asymmetry);
  if (rounded === 0) return "0";
  return rounded > 0 ? `+${rounded} R` : `\u2212${-rounded} L`;
}
