// The muscle map over the person's own picture: its switch, its legend, and when there is none. Off until it is asked for.

import { set } from "./bars.js";
import { HeatMap, scaleColours } from "./heat_map.js";
import { WORDS } from "./heat_source.js";
import { PRACTISE } from "./protocol.js";

const KEY = "myomirror-heat-picture";
const $ = (id) => document.getElementById(id);

export class HeatPicture {
  // token: what /heat.bin asks for. source: of the values. repaint: draws the picture that is shown once more.
  constructor(token, source, repaint) {
    Object.assign(this, { source, repaint, live: null, map: null, state: "idle", lost: "" });
    this.url = `/heat.bin?token=${encodeURIComponent(token)}`;
    this.on = sessionStorage.getItem(KEY) === "on";
    $("heat-picture").checked = this.on;
    $("heat-picture").addEventListener("change", (event) => this.turn(event.target.checked));
  }

  build(hello) {
    this.channels = hello.channels.length;
  }

  turn(on) {
    this.on = on;
    sessionStorage.setItem(KEY, on ? "on" : "off");
    $("heat-over").hidden = !on;
    this.repaint();
  }

  // Over a picture that has just been drawn. packet: what came with it; its landmarks are of this very picture.
  paint(context, { landmarks, flags }, { width, height }) {
    if (!this.on || !this.live) return;
    if (this.state === "idle") this.load();
    const beside = Boolean(flags & PRACTISE); // then the own face is in the left half, if it is there at all
    this.lost = landmarks.length ? "" : beside ? "Only over your own face: choose Live or Side by side" : "No face found";
    if (this.lost || this.state !== "ready" || this.source.kind === "none") return;
    const hatched = this.source.kind === "estimated";
    this.map.paint(context, landmarks, this.source.read(this.live), { width, height, right: beside ? width / 2 : width, hatched });
  }

  // A few times a second.
  write(live) {
    this.live = live;
    const { kind, end, available } = this.source;
    $("heat-picture-box").hidden = !available;
    $("heat-over").hidden = !this.on || !available;
    if ($("heat-over").hidden) return;
    const why = this.problem || this.lost || (kind === "none" ? WORDS.none : "");
    $("heat-over").dataset.source = why ? "none" : kind;
    set($("heat-over-source"), why || WORDS[kind]);
    set($("heat-over-end"), end);
    set($("heat-over-most"), why ? "" : this.source.strongest(live));
  }

  async load() {
    this.state = "loading";
    try {
      const answer = await fetch(this.url).catch(() => null);
      if (!answer?.ok) throw new Error((await answer?.text())?.trim().slice(0, 300) || "The muscle map could not be fetched from the session.");
      const map = new HeatMap(await answer.arrayBuffer());
      if (map.channels !== this.channels) throw new Error("The session's muscle map is for other channels: reload the page.");
      $("heat-over-scale").style.background = `linear-gradient(90deg, ${scaleColours(map).join(", ")})`;
      Object.assign(this, { map, state: "ready", problem: "" });
      this.repaint();
    } catch (error) {
      Object.assign(this, { state: "failed", problem: error.message });
    }
  }
}
