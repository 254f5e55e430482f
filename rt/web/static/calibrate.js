// A person is being calibrated: what to do, how far it is, why a picture is not taken, before and after.

import { element, set } from "./bars.js";
import { $, speak } from "./panel.js";

const AROUND = 2 * Math.PI * 54; // the ring's length
const STATES = { todo: "to come", now: "now", done: "done", skipped: "left out" };
const PAST = { welcome: "", ready: "Get ready", taking: "Now", review: "Before and after", done: "Finished" };

export class Guide {
  // say: (word) to the session.  stop: ends the session.
  constructor(say, stop) {
    this.message = null;
    this.said = ""; // what a screen reader has heard
    for (const word of ["start", "again", "keep", "skip"]) $(`guide-${word}`).addEventListener("click", () => say(word));
    $("guide-finish").addEventListener("click", stop);
  }

  build(hello) {
    $("guide").hidden = !hello.guided;
    $("session").classList.toggle("guiding", hello.guided);
  }

  // Another page may control the session; then this one watches.
  enable(yes) {
    for (const button of $("guide").querySelectorAll("button")) button.disabled = !yes;
  }

  flip(mirrored) {
    $("guide-tiles").classList.toggle("mirrored", mirrored);
  }

  show(message) {
    const before = this.message;
    this.message = message;
    const { phase } = message;
    $("guide").dataset.phase = phase;
    if (JSON.stringify(before?.steps) !== JSON.stringify(message.steps)) this.list(message.steps);
    set($("guide-title"), { welcome: "Fit the movements to your face", done: "Finished" }[phase] ?? message.title);
    set($("guide-phase"), PAST[phase] ?? "");
    set($("guide-words"), phase === "review" ? "Does the movement look like you? Keep it, or do it again." : message.words);
    set($("guide-reason"), message.reason);
    $("guide-reason").hidden = !message.reason;
    set($("guide-note"), message.note);
    $("guide-note").hidden = !message.note;
    this.ring(message);
    $("guide-privacy").hidden = phase !== "welcome";
    set($("guide-folder"), message.folder);
    $("guide-emg").hidden = !(message.emg && phase === "welcome");
    this.buttons(message);
    this.kept(message);
    if (message.still !== before?.still) this.pictures(message);
    this.tell(message, before);
  }

  list(steps) {
    $("guide-steps").replaceChildren(...steps.map(({ title, state }, number) => {
      const line = element("li", state);
      line.append(element("i", "", state === "done" ? "✓" : String(number + 1)), element("span", "", title),
        element("small", "unseen", STATES[state]));
      if (state === "now") line.setAttribute("aria-current", "step");
      return line;
    }));
  }

  ring({ phase, count, progress }) {
    $("guide-ring").hidden = phase !== "ready" && phase !== "taking";
    $("guide-arc").style.strokeDashoffset = String(AROUND * (1 - progress));
    set($("guide-inside"), phase === "ready" ? String(count) : `${Math.round(100 * progress)} %`);
  }

  buttons({ phase, can_skip: canSkip }) {
    const busy = phase === "ready" || phase === "taking", review = phase === "review";
    $("guide-start").hidden = phase !== "welcome" && phase !== "done";
    set($("guide-start"), phase === "done" ? "Once more from the beginning" : "I agree: start");
    $("guide-start").classList.toggle("primary", phase === "welcome");
    $("guide-keep").hidden = !review;
    $("guide-again").hidden = !(busy || review);
    $("guide-skip").hidden = !(busy || review) || !canSkip;
    $("guide-finish").hidden = phase !== "done";
  }

  kept({ phase, kept, closer_db: closer }) {
    $("guide-closer").hidden = phase !== "review" || closer == null;
    set($("guide-closer"), closer == null ? "" : closerText(closer));
    $("guide-kept").hidden = phase !== "done" || !kept.length;
    set($("guide-kept"), kept?.length ? `Fitted to you: ${kept.join(", ")}.` : "");
  }

  // The strip of stills, cut into its tiles.
  async pictures({ still, tiles }) {
    $("guide-tiles").hidden = !still;
    $("guide-tiles").replaceChildren();
    if (!still) return;
    const bytes = Uint8Array.from(atob(still), (letter) => letter.charCodeAt(0));
    const strip = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" })).catch(() => null);
    if (!strip || this.message.still !== still) return;
    const side = strip.height;
    $("guide-tiles").replaceChildren(...tiles.map((name, number) => {
      const figure = element("figure"), canvas = element("canvas");
      canvas.width = canvas.height = side;
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", name);
      canvas.getContext("2d", { alpha: false }).drawImage(strip, number * side, 0, side, side, 0, 0, side, side);
      figure.append(canvas, element("figcaption", "", name));
      return figure;
    }));
    strip.close();
  }

  // A screen reader hears what to do when it changes, and a reason once; the ring's numbers stay silent.
  tell(message, before) {
    const now = message.phase + message.title;
    if (now !== this.said) {
      this.said = now;
      speak(`${$("guide-title").textContent}. ${$("guide-words").textContent}`);
    } else if (message.reason && message.reason !== before?.reason) speak(message.reason);
  }
}

function closerText(db) {
  if (db > 0) return `On other pictures of this moment, "after" is ${db.toFixed(1)} dB closer to you than "before".`;
  return `On other pictures of this moment, "after" is not closer to you than "before" (${db.toFixed(1)} dB): better do it again.`;
}
