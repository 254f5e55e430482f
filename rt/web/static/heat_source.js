// Where a heat map's values come from, and which muscle is the most active one: for the 3D faces and for the picture.

import { muscleName } from "./protocol.js";

const NAMED_PERCENT = 5; // a muscle below that is not called active
export const WORDS = { measured: "Measured", estimated: "Estimated from the picture, relative", none: "No muscle values" };

export class HeatSource {
  constructor() {
    this.kind = "none"; // "measured", "estimated" or "none"
    this.available = false; // once there, it does not come and go
    this.values = new Float32Array(0);
  }

  build(hello) {
    this.channels = hello.channels;
    this.values = new Float32Array(hello.channels.length);
  }

  // A few times a second. emg, guess: "live", "old" or "none".
  judge(live, emg, guess) {
    const measured = emg === "live" && live.percent.some((value) => !Number.isNaN(value));
    const estimated = guess === "live" && live.estimatePercent.some((value) => !Number.isNaN(value));
    this.kind = measured ? "measured" : estimated ? "estimated" : "none";
    this.available ||= this.kind !== "none";
  }

  // Activity per channel, 1 = 100 %; NaN for what has no contact or no reference. The same array every time.
  read(live) {
    const measured = this.kind === "measured", percent = measured ? live.percent : live.estimatePercent;
    for (let i = 0; i < this.values.length; i++) {
      this.values[i] = measured && live.contact[i] === 0 ? NaN : percent[i] / 100;
    }
    return this.values;
  }

  strongest(live) {
    const values = this.read(live);
    let most = -1;
    for (let i = 0; i < values.length; i++) {
      if (values[i] > (most < 0 ? NAMED_PERCENT / 100 : values[most])) most = i;
    }
    if (most < 0) return "All at rest";
    const { muscle, side } = this.channels[most];
    return `Most: ${muscleName(muscle)}${side === "midline" ? "" : ` ${side}`}`;
  }

  // What stands at the scale's end.
  get end() {
    return this.kind === "estimated" ? "100 %" : "100 %MVC";
  }
}
