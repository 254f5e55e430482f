// The last ten seconds of the chosen muscles' envelopes, in microvolt; left sides are dashed.

import { element } from "./bars.js";
import { muscleName } from "./protocol.js";
import uPlot from "./vendor/uPlot.esm.js";

const SECONDS = 10;
const CAPACITY = 1024; // more than ten seconds of packets at 60 per second
const GAP_S = 0.25;
const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000];
const TICKS = [-10, -8, -6, -4, -2, 0];

export class Envelopes {
  constructor(box, legend) {
    this.box = box;
    this.legend = legend;
    this.plot = null;
    this.used = 0;
    this.t = new Float64Array(CAPACITY);
    this.columns = [];
    new ResizeObserver(() => this.fit()).observe(box);
  }

  build(hello, choices) {
    const style = getComputedStyle(document.documentElement);
    const colour = (i) => style.getPropertyValue(`--series-${(i % 6) + 1}`).trim();
    const sides = choices.muscles.flatMap((muscle, i) => {
      const pair = hello.pairs.find((found) => found.muscle === muscle);
      return ["right", "left"].map((side) => ({ channel: pair[side], muscle, side, colour: colour(i) }));
    });
    if (!this.every || this.every.length !== hello.channels.length) {
      this.every = hello.channels.map(() => new Float32Array(CAPACITY));
      this.used = 0;
    }
    this.columns = sides.map((side) => this.every[side.channel]);
    this.legend.replaceChildren(...choices.muscles.map((muscle, i) => legendEntry(muscle, colour(i))));
    this.plot?.destroy();
    this.plot = new uPlot(options(sides, style, this.size()), this.data(), this.box);
  }

  // Every packet with new samples.
  add(live) {
    if (!(live.tEmg > (this.used ? this.t[this.used - 1] : -Infinity))) return;
    if (this.used === CAPACITY) {
      const kept = CAPACITY / 2;
      this.t.copyWithin(0, kept);
      for (const column of this.every) column.copyWithin(0, kept);
      this.used = kept;
    }
    this.t[this.used] = live.tEmg;
    for (let i = 0; i < this.every.length; i++) this.every[i][this.used] = live.envelope[i];
    this.used++;
  }

  // About 20 times a second. now: server seconds.
  draw(now) {
    if (!this.plot) return;
    this.plot.batch(() => {
      this.plot.setData(this.data(), false);
      this.plot.setScale("x", { min: now - SECONDS, max: now });
      this.plot.setScale("y", { min: 0, max: this.top(now) });
    });
  }

  // A server on a new clock: what was before cannot be put on the same axis.
  reset() {
    this.used = 0;
  }

  data() {
    return [this.t.subarray(0, this.used), ...this.columns.map((column) => column.subarray(0, this.used))];
  }

  // The smallest round number above everything shown.
  top(now) {
    let found = 0;
    for (let k = this.used - 1; k >= 0 && this.t[k] > now - SECONDS; k--) {
      for (const column of this.columns) if (column[k] > found) found = column[k];
    }
    return STEPS.find((step) => found <= step) ?? found;
  }

  size() {
    return { width: Math.max(this.box.clientWidth, 120), height: Math.max(this.box.clientHeight, 60) };
  }

  fit() {
    this.plot?.setSize(this.size());
  }
}

function options(sides, style, size) {
  const ink = style.getPropertyValue("--ink-soft").trim(), line = style.getPropertyValue("--line").trim();
  const axis = { stroke: ink, grid: { stroke: line, width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return {
    ...size,
    legend: { show: false },
    cursor: { show: false },
    padding: [8, 14, 0, 0],
    scales: { x: { time: false }, y: { auto: false } },
    axes: [
      {
        ...axis, size: 24,
        splits: (plot) => TICKS.map((tick) => plot.scales.x.max + tick),
        values: () => TICKS.map((tick) => (tick ? `\u2212${-tick} s` : "now")),
      },
      { ...axis, size: 44, space: 28 },
    ],
    series: [{}, ...sides.map((side) => ({
      label: `${muscleName(side.muscle)} ${side.side}`, stroke: side.colour, width: 2, points: { show: false },
      dash: side.side === "left" ? [6, 4] : undefined, gaps: gaps,
    }))],
  };
}

// Nothing is drawn across a hole in the signal.
function gaps(plot, series, first, last) {
  const t = plot.data[0], found = [];
  for (let i = Math.max(first, 1); i <= last; i++) {
    if (t[i] - t[i - 1] > GAP_S) found.push([plot.valToPos(t[i - 1], "x", true), plot.valToPos(t[i], "x", true)]);
  }
  return found;
}

function legendEntry(muscle, colour) {
  const entry = element("li", "", muscleName(muscle));
  const swatch = element("span", "swatch");
  swatch.style.background = colour;
  entry.prepend(swatch);
  return entry;
}
