// One row per chosen muscle: the two sides grow away from the muscle's name, in %MVC, with the zone to reach. Where
// muscles are estimated from the picture, the estimate stands below what is measured, or alone without an amplifier.

import { Estimate } from "./estimates.js";
import { muscleName } from "./protocol.js";

const FULL_PERCENT = 120; // the end of a bar, unless the upper limit is near it

const STATES = {
  "": "", none: "not calibrated", rest: "", near: "", zone: "in zone", over: "above limit", low: "kept low", high: "too high",
};

export class Bars {
  constructor(body) {
    this.body = body;
    this.sides = [];
  }

  // right/left stand where they are in the picture.
  build(hello, choices) {
    this.limit = hello.limit_percent;
    this.full = Math.max(FULL_PERCENT, 1.2 * this.limit);
    this.keepBelow = hello.keep_below_percent;
    this.target = choices.target;
    this.sides = [];
    const order = choices.mirrored ? ["left", "right"] : ["right", "left"];
    this.body.replaceChildren(...choices.muscles.map((muscle) => this.row(hello, choices, muscle, order)));
  }

  row(hello, choices, muscle, order) {
    const pair = hello.pairs.find((found) => found.muscle === muscle);
    const row = element("li", "bar-row");
    const role = choices.role(muscle);
    const name = element("div", "bar-name", muscleName(muscle));
    if (role) name.append(element("span", `role ${role}`, role === "trained" ? "train" : "keep low"));
    const [first, second] = order.map((side) => this.side(pair[side], muscle, side, role));
    first.box.classList.add("toward-left");
    const both = element("div", "bar-both");
    if (hello.amplifier || !hello.estimated) both.append(first.box, second.box);
    if (hello.estimated) this.estimates(hello, [first, second], order, muscle, both);
    row.append(first.number, name, second.number, both);
    return row;
  }

  estimates(hello, sides, order, muscle, both) {
    sides.forEach((side, i) => {
      side.guess = new Estimate(side.channel, muscle, order[i], this.full, !hello.amplifier);
      side.guess.box.classList.toggle("toward-left", i === 0);
      if (side.guess.alone) {
        side.guess.box.append(...side.marks);
        side.number.replaceChildren(side.guess.number);
        both.append(side.guess.box);
      } else {
        const half = element("div", i === 0 ? "guess-half at-left" : "guess-half");
        half.append(side.guess.box, side.guess.number);
        both.append(half);
      }
    });
  }

  side(channel, muscle, side, role) {
    const box = element("div", "bar");
    box.setAttribute("role", "meter");
    box.setAttribute("aria-label", `${muscleName(muscle)} ${side}`);
    box.setAttribute("aria-valuemin", "0");
    box.setAttribute("aria-valuenow", "0");
    box.setAttribute("aria-valuemax", String(this.full));
    const fill = element("div", "bar-fill"), zone = element("div", "bar-zone"), limit = element("div", "bar-limit");
    const from = role === "forbidden" ? 0 : this.target, to = role === "forbidden" ? this.keepBelow : this.limit;
    zone.style.setProperty("--from", `${(100 * from) / this.full}%`);
    zone.style.setProperty("--width", `${(100 * (to - from)) / this.full}%`);
    limit.style.setProperty("--from", `${(100 * to) / this.full}%`);
    box.append(fill);
    zone.classList.toggle("from-rest", from === 0);
    const marks = role ? [zone, limit] : [];
    box.append(...marks);
    const number = element("div", "bar-number");
    const value = element("b", "", "–"), word = element("small", "", "");
    number.append(value, word);
    const found = { channel, box, fill, number, value, word, role, marks, guess: null, state: "", shown: -1 };
    this.sides.push(found);
    return found;
  }

  // Every drawn packet: only transforms, and a class when a state changes.
  draw(live) {
    for (const side of this.sides) {
      const percent = live.percent[side.channel];
      const shown = Number.isNaN(percent) ? 0 : Math.min(Math.max(percent / this.full, 0), 1);
      if (Math.abs(shown - side.shown) > 0.001) {
        side.shown = shown;
        side.fill.style.transform = `scaleX(${shown.toFixed(4)})`;
      }
      const state = this.judge(percent, side);
      if (state !== side.state) {
        side.state = state;
        side.box.dataset.state = state;
      }
      side.guess?.draw(live);
    }
  }

  // A few times a second: the numbers and words. emg, guess: "live", "old" or "none".
  write(live, emg, guess) {
    for (const side of this.sides) {
      const percent = live.percent[side.channel];
      const number = Number.isNaN(percent) ? `${live.envelope[side.channel].toFixed(1)} µV` : `${Math.round(percent)} %`;
      set(side.value, emg === "live" ? number : "–");
      set(side.word, emg === "live" ? STATES[side.state] : "");
      side.guess?.write(live, guess);
    }
  }

  // Once a second: what a screen reader finds.
  speak(live, emg, guess) {
    for (const side of this.sides) {
      const percent = emg === "live" ? live.percent[side.channel] : NaN;
      const calibrated = !Number.isNaN(percent);
      side.box.setAttribute("aria-valuenow", String(calibrated ? Math.min(Math.max(Math.round(percent), 0), this.full) : 0));
      const words = calibrated ? `${Math.round(percent)} %MVC ${STATES[side.state]}` : emg === "live" ? STATES.none : `EMG ${emg}`;
      side.box.setAttribute("aria-valuetext", words.trim());
      side.guess?.speak(live, guess);
    }
  }

  // Leaving a state needs 2 % more than entering it, so that a bar at an edge does not flicker.
  judge(percent, side) {
    if (Number.isNaN(percent)) return "none";
    const slack = (state) => (side.state === state ? 2 : 0);
    if (side.role === "forbidden") return percent > this.keepBelow - slack("high") ? "high" : "low";
    if (side.role === "") return "rest";
    if (percent > this.limit - slack("over")) return "over";
    return percent >= this.target - slack("zone") ? "zone" : "near";
  }
}

export function element(tag, className = "", text = "") {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  return node;
}

export function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
