// The dialogs, and the page that stays after the session.

import { element, set } from "./bars.js";
import { $, clockText, ms, sum } from "./panel.js";
import { muscleName } from "./protocol.js";

export function wireDialogs() {
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  $("list-contacts").addEventListener("click", () => $("contact-list").showModal());
  $("choose").addEventListener("click", () => $("chooser").showModal());
  $("calibrate").addEventListener("click", () => $("calibrator").showModal());
}

export function openStart(choices) {
  if (choices.started || $("start").open) return;
  const begun = () => choices.set({ started: true });
  $("begin").addEventListener("click", () => $("start").close(), { once: true });
  $("start").addEventListener("close", begun, { once: true });
  $("start").showModal();
}

export function buildChooser(hello, choices) {
  const rows = hello.pairs.map(({ muscle }) => {
    const row = element("tr"), head = element("th", "", muscleName(muscle));
    head.scope = "row";
    const show = input("checkbox", `Show ${muscleName(muscle)}`, choices.muscles.includes(muscle), (yes) => {
      const kept = new Set(choices.muscles);
      if (yes) kept.add(muscle);
      else kept.delete(muscle);
      // In the montage's order; what is no longer shown can be neither trained nor forbidden.
      choices.set({ muscles: hello.pairs.map((p) => p.muscle).filter((m) => kept.has(m)), ...without(choices, kept) });
      sync(choices);
    });
    show.dataset.show = muscle;
    const pick = (role, words) => {
      const box = input("checkbox", `${words} ${muscleName(muscle)}`, choices[role] === muscle, (yes) => {
        const other = role === "trained" ? "forbidden" : "trained";
        const shown = choices.muscles.includes(muscle) ? choices.muscles
          : hello.pairs.map((p) => p.muscle).filter((m) => m === muscle || choices.muscles.includes(m));
        choices.set({ [role]: yes ? muscle : "", [other]: choices[other] === muscle ? "" : choices[other], muscles: shown });
        sync(choices);
      });
      box.dataset[role] = muscle;
      return box;
    };
    row.append(head, cell(show), cell(pick("trained", "Train")), cell(pick("forbidden", "Keep low")));
    return row;
  });
  $("chooser-rows").replaceChildren(...rows);
}

function without(choices, kept) {
  const gone = (role) => (kept.has(choices[role]) ? choices[role] : "");
  return { trained: gone("trained"), forbidden: gone("forbidden") };
}

function sync(choices) {
  for (const box of $("chooser-rows").querySelectorAll("input")) {
    const { show, trained, forbidden } = box.dataset;
    box.checked = show ? choices.muscles.includes(show) : trained ? choices.trained === trained : choices.forbidden === forbidden;
  }
}

function input(type, label, checked, changed) {
  const box = element("input");
  box.type = type;
  box.checked = checked;
  box.setAttribute("aria-label", label);
  box.addEventListener("change", () => changed(box.checked));
  return box;
}

function cell(node) {
  const found = element("td");
  found.append(node);
  return found;
}

// status: the last one heard, or null; rows: what the session itself says at its end; delivered: stop went out.
export function showEnded(title, text, status, rows) {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  $("session").hidden = true;
  $("ended").hidden = false;
  set($("ended-title"), title);
  set($("ended-text"), text);
  const facts = { ...(status ? summary(status) : {}), ...rows };
  $("ended-facts").replaceChildren(...Object.entries(facts).map(([name, value]) => {
    const line = element("div");
    line.append(element("dt", "", name), element("dd", "", String(value)));
    return line;
  }));
  document.title = `MyoMirror: ${title}`;
  $("ended").focus();
}

function summary(status) {
  const both = (latency) => `${ms(latency.p50)} (p95 ${ms(latency.p95)})`;
  return {
    Duration: clockText(status.elapsed_s),
    "Frames shown": status.shown,
    "Frames dropped": sum(status.dropped),
    "Photon to pixel": both(status.photon_to_pixel_ms),
    "Muscle to pixel": both(status.muscle_to_pixel_ms),
    Recording: { on: "being closed", off: "none", absent: "none", failed: "failed" }[status.recording] ?? status.recording,
  };
}
