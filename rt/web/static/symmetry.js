// Signed asymmetry of each chosen muscle: 100 (R - L) / (R + L). No judgement below 30, which healthy people reach.

import { element, set } from "./bars.js";
import { muscleName } from "./protocol.js";

const NOTABLE = 30;

export class Symmetry {
  constructor(body) {
    this.body = body;
    this.rows = [];
  }

  build(hello, choices) {
    this.sign = choices.mirrored ? 1 : -1; // the right side stands where it is in the picture
    this.rows = [];
    this.body.replaceChildren(...choices.muscles.map((muscle) => this.row(hello, muscle)));
  }

  row(hello, muscle) {
    const row = element("li", "symmetry-row");
    const gauge = element("div", "gauge"), mark = element("div", "gauge-mark"), value = element("b", "", "–");
    gauge.setAttribute("role", "meter");
    gauge.setAttribute("aria-label", `Asymmetry ${muscleName(muscle)}`);
    gauge.setAttribute("aria-valuemin", "-100");
    gauge.setAttribute("aria-valuenow", "0");
    gauge.setAttribute("aria-valuemax", "100");
    gauge.append(mark);
    row.append(element("span", "symmetry-name", muscleName(muscle)), value, gauge);
    this.rows.push({ gauge, mark, value, pair: hello.pairs.findIndex((p) => p.muscle === muscle), state: "" });
    return row;
  }

  draw(live) {
    for (const row of this.rows) {
      const found = live.asymmetry[row.pair];
      const state = Number.isNaN(found) ? "none" : Math.abs(found) >= NOTABLE ? "notable" : "even";
      if (state !== row.state) row.gauge.dataset.state = row.state = state;
      if (state !== "none") row.mark.style.transform = `translateX(${(this.sign * Math.max(-100, Math.min(100, found))) / 2}%)`;
    }
  }

  write(live, emg) {
    for (const row of this.rows) set(row.value, emg === "live" ? describe(live.asymmetry[row.pair], "R", "L") : "–");
  }

  speak(live, emg) {
    for (const row of this.rows) {
      const found = emg === "live" ? live.asymmetry[row.pair] : NaN;
      row.gauge.setAttribute("aria-valuenow", String(Number.isNaN(found) ? 0 : Math.round(found)));
      row.gauge.setAttribute("aria-valuetext", describe(found, "right stronger", "left stronger"));
    }
  }
}

function describe(asymmetry, right, left) {
  if (Number.isNaN(asymmetry)) return "not assessable";
  const rounded = Math.round(asymmetry);
  if (rounded === 0) return "0";
  return rounded > 0 ? `+${rounded} ${right}` : `\u2212${-rounded} ${left}`;
}
