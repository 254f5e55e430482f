// The panel with the 3D faces: one follows the camera, one the muscles alone; both can show how active muscles are.

import { Face3D, heatScale } from "./face3d.js";
import { set } from "./bars.js";
import { WORDS } from "./heat_source.js";

const KEY = "myomirror-faces";
const $ = (id) => document.getElementById(id);

export class Faces {
  // token: what /face.bin asks for. source: of the heat map's values.
  constructor(token, source) {
    this.url = `/face.bin?token=${encodeURIComponent(token)}`;
    this.panel = $("faces");
    this.main = this.panel.closest("main");
    this.views = {
      camera: { box: $("face-camera-box"), face: new Face3D($("face-camera"), this.url) },
      emg: { box: $("face-emg-box"), face: new Face3D($("face-emg"), this.url) },
    };
    this.state = "idle"; // then "loading", "ready" or "failed"
    this.source = source;
    this.open = this.heat = null; // null: not chosen yet
    Object.assign(this, JSON.parse(sessionStorage.getItem(KEY) ?? "{}"));
    $("show-faces").addEventListener("click", () => this.choose({ open: !this.shown }));
    $("heat").addEventListener("change", (event) => this.choose({ heat: event.target.checked }));
  }

  build(hello, choices) {
    this.hello = hello;
    for (const { face } of Object.values(this.views)) face.setMirrored(choices.mirrored);
    for (const side of this.panel.querySelectorAll(".map-side")) {
      side.textContent = (side.dataset.at === "right") === choices.mirrored ? "R" : "L";
    }
  }

  choose(change) {
    Object.assign(this, change);
    sessionStorage.setItem(KEY, JSON.stringify({ open: this.open, heat: this.heat }));
    this.show();
  }

  // Every drawn packet.
  draw(live) {
    if (!this.shown || this.state !== "ready") return;
    this.views.camera.face.setExpression(live.expression);
    this.views.emg.face.setExpression(live.expressionEmg);
    const on = this.heat !== false && this.source.kind !== "none";
    for (const { box, face } of Object.values(this.views)) {
      if (box.hidden) continue;
      face.setHeat(on ? this.source.read(live) : null, this.source.kind === "estimated");
      face.draw();
    }
  }

  // A few times a second. ages: ms of both expressions.
  write(live, ages) {
    const camera = live.expression.length > 0, muscles = live.expressionEmg.length > 0;
    this.available ||= camera || muscles || this.source.available;
    this.views.camera.box.hidden = muscles && !camera;
    this.views.emg.box.hidden = !muscles;
    set($("face-camera-name"), camera ? "From the camera" : "At rest");
    this.age(this.views.camera, camera ? ages.camera : NaN, this.hello.frame_limit_ms);
    this.age(this.views.emg, ages.emg, this.hello.emg_limit_ms);
    this.show();
    this.describe(live);
  }

  age(view, ms, limit) {
    const old = ms > limit;
    view.box.classList.toggle("old", old);
    set(view.box.querySelector(".face-age"), old ? `${(ms / 1000).toFixed(1)} s old` : "");
  }

  // Where the heat map's values come from, and which muscle is most active.
  describe(live) {
    const heat = this.heat !== false;
    $("heat-legend").hidden = !heat;
    if (!heat || !this.shown) return;
    const { kind, end } = this.source;
    $("heat-legend").dataset.source = kind;
    set($("heat-source"), WORDS[kind]);
    set($("heat-end"), end);
    set($("heat-most"), kind === "none" ? "" : this.source.strongest(live));
  }

  // Opens and closes the panel; the first time it opens, the face is fetched.
  show() {
    const open = this.open ?? (matchMedia("(min-width: 1600px)").matches || !this.hello.amplifier);
    this.shown = Boolean(this.available && open);
    $("show-faces").hidden = !this.available;
    $("show-faces").setAttribute("aria-pressed", String(this.shown));
    $("heat").checked = this.heat !== false;
    this.panel.hidden = !this.shown;
    this.main.classList.toggle("with-faces", this.shown);
    if (this.shown && this.state === "idle") this.load();
  }

  async load() {
    this.state = "loading";
    this.say("Making the 3D face…");
    try {
      await Promise.all(Object.values(this.views).map(({ face }) => face.load()));
      $("heat-scale").style.background = `linear-gradient(90deg, ${(await heatScale(this.url)).join(", ")})`;
      this.state = "ready";
      this.say("");
    } catch (error) {
      this.state = "failed";
      this.say(error.message);
    }
  }

  say(text) {
    set($("faces-note"), text);
    $("faces-note").hidden = !text;
    this.panel.classList.toggle("no-face", Boolean(text));
  }
}
