// The movement to practise: which one, how much, on which side, and whether the own face stands next to it.

import { $ } from "./panel.js";
import { set } from "./bars.js";

const AMOUNT_MS = 60; // a slider in motion is not sent more often than that

export class Practise {
  // wish: (name, value) to the session.  used: called when somebody uses a control.
  constructor(wish, used) {
    this.wish = wish;
    this.used = used;
    this.sending = 0;
    for (const view of document.getElementsByName("view")) {
      view.addEventListener("change", () => this.say("view", view.value));
    }
    for (const side of document.getElementsByName("practised-side")) {
      side.addEventListener("change", () => this.say("side", side.value));
    }
    $("movement").addEventListener("change", () => this.say("target", $("movement").value));
    $("amount").addEventListener("input", () => this.slide());
  }

  // What there is to choose from.
  build(hello) {
    $("views").hidden = hello.views.length < 2;
    $("movement").replaceChildren(...hello.movements.map(({ name, label }) => new Option(label, name)));
    $("movement-box").hidden = hello.movements.length < 2;
  }

  // The controls stand as the session does.
  follow({ view, side, target, amount }) {
    for (const choice of document.getElementsByName("view")) choice.checked = choice.value === view;
    for (const choice of document.getElementsByName("practised-side")) choice.checked = choice.value === side;
    this.offer(target);
    $("movement").value = target;
    $("amount").value = String(Math.round(100 * amount));
    set($("amount-text"), `${$("amount").value} %`);
    this.show();
  }

  // A movement of the station's own, which is in no list, is in the list as long as it is shown.
  offer(target) {
    if (!target || [...$("movement").options].some((option) => option.value === target)) return;
    $("movement").append(new Option(target, target));
  }

  enable(yes) {
    for (const name of ["view", "practised-side"]) {
      for (const choice of document.getElementsByName(name)) choice.disabled = !yes;
    }
    $("movement").disabled = $("amount").disabled = !yes;
  }

  get view() {
    return [...document.getElementsByName("view")].find((choice) => choice.checked)?.value ?? "camera";
  }

  say(name, value) {
    this.used();
    this.show();
    this.wish(name, value);
  }

  slide() {
    this.used();
    set($("amount-text"), `${$("amount").value} %`);
    clearTimeout(this.sending);
    this.sending = setTimeout(() => this.wish("amount", Number($("amount").value) / 100), AMOUNT_MS);
  }

  show() {
    $("practise-box").hidden = this.view === "camera";
  }
}

// What stands above the halves of the picture.  beside: own face and movement next to each other.
export function showHalves(mirrored, beside) {
  const words = beside ? ["You", "To practise"] : ["Right", "Left"]; // of the camera's own picture, from its left
  const [left, right] = mirrored ? words.toReversed() : words;
  set($("side-left"), left);
  set($("side-right"), right);
}
