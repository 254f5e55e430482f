// What a network guesses a muscle to be doing, from the picture: hatched and paler than a measured bar, never in its
// colours of right and wrong, with a line from one standard deviation below to one above.

import { element, set } from "./bars.js";
import { muscleName } from "./protocol.js";

const SLOWER = 0.8; // share of the pictures that are shown; below it, not every picture is read
const DRAWN = "arkit52"; // the expressions that the page can draw

export class Estimate {
  // alone: there is no measured bar above it.
  constructor(channel, muscle, side, full, alone) {
    Object.assign(this, { channel, full, alone, shown: -1, spread: -1, known: null });
    this.box = element("div", alone ? "bar guess alone" : "bar guess");
    this.box.setAttribute("role", "meter");
    this.box.setAttribute("aria-label", `${muscleName(muscle)} ${side}, estimated`);
    this.box.setAttribute("aria-valuemin", "0");
    this.box.setAttribute("aria-valuenow", "0");
    this.box.setAttribute("aria-valuemax", String(full));
    this.fill = element("div", "guess-fill");
    this.line = element("div", "guess-line");
    this.ends = [element("div", "guess-end"), element("div", "guess-end")];
    this.number = element(alone ? "b" : "small", "guess-number");
    this.box.append(this.fill, this.line, ...this.ends);
  }

  // Every drawn packet: only transforms.
  draw(live) {
    const percent = live.estimatePercent[this.channel] ?? NaN, spread = live.estimateSpread[this.channel] ?? NaN;
    const known = !Number.isNaN(percent), sure = known && !Number.isNaN(spread);
    const share = known ? within(percent / this.full) : 0;
    if (Math.abs(share - this.shown) > 0.001) {
      this.shown = share;
      this.fill.style.transform = `translateX(${(100 * (share - 1)).toFixed(2)}%)`; // a hatch must not be stretched
    }
    if (sure) this.stretch(within((percent - spread) / this.full), within((percent + spread) / this.full));
    const state = sure ? "sure" : known ? "plain" : "none";
    if (state !== this.known) this.box.dataset.guess = this.known = state;
  }

  stretch(from, to) {
    if (Math.abs(from - this.from) < 0.001 && Math.abs(to - this.to) < 0.001) return;
    this.from = from;
    this.to = to;
    this.line.style.transform = `translateX(${(100 * from).toFixed(2)}%) scaleX(${Math.max(to - from, 0.001).toFixed(4)})`;
    this.ends[0].style.transform = `translateX(${(100 * from).toFixed(2)}%)`;
    this.ends[1].style.transform = `translateX(${(100 * to).toFixed(2)}%)`;
  }

  write(live, state) {
    set(this.number, state === "live" ? words(live, this.channel) : "–");
  }

  speak(live, state) {
    const percent = state === "live" ? live.estimatePercent[this.channel] : NaN;
    this.box.setAttribute("aria-valuenow", String(Number.isNaN(percent) ? 0 : Math.min(Math.round(percent), this.full)));
    this.box.setAttribute("aria-valuetext", state === "live" ? `about ${words(live, this.channel).slice(2)}, estimated` : "no estimate");
  }
}

// How old an estimate may be is the picture's limit: it was read from one.  Returns "live", "old" or "none".
export function judge(live, hello, ageMs) {
  if (!hello.estimated || !live.estimatePercent.length) return "none";
  return ageMs <= hello.frame_limit_ms ? "live" : "old";
}

// What stands in the card when there is no estimate to go by.
export function sentence(state, ageMs, noFace) {
  if (state === "live") return "";
  const why = noFace ? "No face found. " : "";
  return state === "old" ? `${why}Estimate is ${(ageMs / 1000).toFixed(1)} s old` : `${why}No estimate yet`;
}

// Which networks say something here, how often, and why one of them does not.  engines: of the status.  shown: pictures/s.
export function networks({ expression, exp2emg, emg2exp, motion }, shown) {
  const parts = [], notes = [];
  if (expression) {
    const hz = Number(expression.rate_hz), between = hz < SLOWER * shown ? ", interpolated," : ""; // glide.js
    const rate = hz > 0 ? ` ${Math.round(hz)} times a second${between}` : "";
    parts.push(`Face read${rate} by ${expression.bundle}${undrawn(expression)}${exp2emg ? `, muscles by ${exp2emg.bundle}` : ""}`);
    notes.push(`${expression.backend}, ${expression.precision}`);
  }
  if (exp2emg?.learned_from) notes.push(`${exp2emg.bundle} learned from expressions of ${exp2emg.learned_from}`);
  if (emg2exp) {
    const waits = emg2exp.calibrated === "False" ? ", after Calibrate" : "";
    parts.push(`Face from the muscles by ${emg2exp.bundle}${undrawn(emg2exp) || waits}`);
  }
  if (motion) {
    const hz = Number(motion.rate_hz), rate = hz > 0 ? ` ${Math.round(hz)} times a second` : "";
    const own = motion.bundle === "none"; // without a network
    parts.push(`Face from the front${rate}${own ? ", own pixels" : ` by ${motion.bundle}`}`);
    notes.push(own ? "what the turn hides is hatched" : `${motion.backend}, ${motion.precision}; what the turn hides is made up`);
  }
  return { text: parts.join(" · "), title: notes.join("; ") };
}

function undrawn({ profile }) {
  return profile && profile !== DRAWN ? ` (${profile}: kept and sent on, not drawn here)` : "";
}

function words(live, channel) {
  const percent = live.estimatePercent[channel], spread = live.estimateSpread[channel];
  if (Number.isNaN(percent)) return "≈ –";
  return `≈ ${Math.round(percent)}${Number.isNaN(spread) ? "" : ` ± ${Math.round(spread)}`} %`;
}

function within(share) {
  return Math.min(Math.max(share, 0), 1);
}
