// The electrodes on a face: every contact has a shape and a word for its state, never a colour alone.

import { element, set } from "./bars.js";
import { muscleName } from "./protocol.js";

const WORDS = ["off", "on", "settling", "stable", "unknown"];
const UNKNOWN = 4;
const SVG = "http://www.w3.org/2000/svg";
const SIGNS = [
  "M-4-4 4 4M4-4-4 4", // off: a cross in a square
  "M0-1.2V1.2M-1.2 0H1.2", // on: a dot in an open ring
  "M-4 0H4", // settling: a bar in a ring
  "M-3.6 .2-1 2.8 3.8-2.8", // stable: a tick in a full disc
  "", // unknown: an empty dashed ring
];

export class Contacts {
  constructor(map, summary, table) {
    this.map = map;
    this.summary = summary;
    this.table = table;
    this.lights = [];
  }

  build(hello, choices) {
    const sign = choices.mirrored ? -1 : 1; // site x is positive to the person's left
    this.channels = hello.channels;
    const cells = [];
    this.lights = hello.channels.map((channel) => {
      const group = document.createElementNS(SVG, "g");
      const ring = document.createElementNS(SVG, "rect"), mark = document.createElementNS(SVG, "path");
      const [x, y] = channel.site;
      group.setAttribute("transform", `translate(${sign * x * 1.12} ${-y * 1.12})`);
      group.setAttribute("class", "contact");
      group.append(ring, mark);
      const cell = element("td", "", "–"), line = element("tr");
      line.append(element("td", "", channel.label), element("td", "", muscleName(channel.muscle)), element("td", "", channel.side), cell);
      cells.push(line);
      return { group, ring, mark, cell, state: -1 };
    });
    this.map.replaceChildren(...this.lights.map((light) => light.group));
    this.table.replaceChildren(...cells);
    for (const side of this.map.parentNode.querySelectorAll(".map-side")) {
      side.textContent = (side.dataset.at === "right") === choices.mirrored ? "R" : "L";
    }
  }

  // A few times a second; touches the page only where a state has changed.
  write(live, emg) {
    let changed = false;
    this.lights.forEach((light, i) => {
      const state = emg === "live" ? Math.min(live.contact[i], 3) : UNKNOWN;
      if (state === light.state) return;
      light.state = state;
      changed = true;
      light.group.dataset.state = WORDS[state];
      light.mark.setAttribute("d", SIGNS[state]);
      const half = state === 0 ? 7 : 8;
      for (const [name, value] of [["x", -half], ["y", -half], ["width", 2 * half], ["height", 2 * half], ["rx", state === 0 ? 2 : half]]) {
        light.ring.setAttribute(name, value);
      }
      set(light.cell, WORDS[state]);
    });
    if (changed || this.emg !== emg) this.summarise(emg);
    this.emg = emg;
  }

  summarise(emg) {
    const count = WORDS.map((_, state) => this.lights.filter((light) => light.state === state).length);
    const off = this.channels.filter((_, i) => this.lights[i].state === 0);
    let text = `${count[3]} of ${this.lights.length} stable`;
    for (const state of [2, 1]) if (count[state]) text += `, ${count[state]} ${WORDS[state]}`;
    if (off.length) text += `. Off: ${off.slice(0, 3).map((c) => `${muscleName(c.muscle)} ${c.side} (${c.label})`).join(", ")}`;
    if (off.length > 3) text += ` and ${off.length - 3} more`;
    set(this.summary, emg === "live" ? text : "Unknown without a live EMG signal");
  }
}
