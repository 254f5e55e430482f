// Numbers, lights and sentences that change about once a second.

import { set } from "./bars.js";
import { networks } from "./estimates.js";

export const $ = (id) => document.getElementById(id);

export function clockText(seconds) {
  const whole = Math.max(0, Math.floor(seconds)), pad = (n) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600), rest = `${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

export function sum(counts) {
  return Object.values(counts).reduce((total, n) => total + n, 0);
}

export function ms(value) {
  return value == null ? "–" : `${Math.round(value)} ms`;
}

export function showHello(hello, choices) {
  set($("subject"), hello.subject);
  set($("start-subject"), hello.subject);
  $("synthetic").hidden = $("start-synthetic-row").hidden = !hello.synthetic;
  $("synthetic").title = hello.synthetic;
  set($("start-synthetic"), hello.synthetic);
  set($("safety"), hello.safety);
  set($("start-safety"), hello.safety);
  $("muscle-metric").title = `From the muscle to the bar drawn here; ${Math.round(hello.emg_delay_ms)} ms of it are the envelope's own delay`;
  $("removals").hidden = hello.removals.length < 2;
  $("session").classList.toggle("no-amplifier", !hello.amplifier);
  $("session").classList.toggle("estimated", hello.estimated);
  $("muscle-metric").hidden = $("calibrate").hidden = $("key-measured").hidden = !hello.amplifier;
  $("bars-key").hidden = !hello.estimated;
  set($("muscles-unit"), hello.amplifier ? "%MVC" : "%, relative");
  $("target").max = String(hello.limit_percent - 5);
  $("target").value = String(choices.target);
  set($("target-text"), `${choices.target} %`);
}

export function showSides(mirrored) {
  const [left, right] = mirrored ? ["Left", "Right"] : ["Right", "Left"];
  set($("bars-left"), left);
  set($("bars-right"), right);
  set($("ends-left"), `${left} stronger`);
  set($("ends-right"), `${right} stronger`);
}

export function showStatus(status) {
  set($("photon"), ms(status.photon_to_pixel_ms.p50));
  set($("photon-p95"), status.photon_to_pixel_ms.p95 == null ? "" : `p95 ${Math.round(status.photon_to_pixel_ms.p95)}`);
  set($("muscle"), ms(status.muscle_to_pixel_ms.p50));
  set($("muscle-p95"), status.muscle_to_pixel_ms.p95 == null ? "" : `p95 ${Math.round(status.muscle_to_pixel_ms.p95)}`);
  set($("fps"), status.fps_shown.toFixed(1));
  set($("fps-of"), `of ${status.fps_captured.toFixed(1)}`);
  set($("dropped"), String(sum(status.dropped)));
  const reasons = Object.entries(status.dropped).filter(([, n]) => n).map(([reason, n]) => `${reason.replaceAll("_", " ")} ${n}`);
  $("dropped-metric").title = reasons.join(", ") || "No frame was dropped";
  showRecording(status);
  showStages(status.stages);
  showEngine(status.engines.restore);
  showEstimator(status.engines, status.fps_shown);
  sentence("alarms", status.alarms.join("  "));
  sentence("calibration", status.calibration);
}

function showRecording(status) {
  $("recording").dataset.state = status.recording;
  const words = { on: `Recording ${clockText(status.recorded_s)}`, failed: "Recording failed", off: "Not recording", absent: "Not recording" };
  $("record").hidden = status.recording === "absent";
  set($("recording-text"), words[status.recording] ?? status.recording);
  set($("record"), status.recording === "on" ? "End recording" : "Record");
}

function showStages(stages) {
  const entries = Object.entries(stages);
  const ill = entries.filter(([, stage]) => stage.state !== "ok").map(([name, stage]) => `${name}: ${stage.state}`);
  const restarts = entries.reduce((total, [, stage]) => total + (stage.restarts ?? 0), 0);
  const parts = [ill.length ? ill.join(", ") : entries.length ? `${entries.length} stages running` : ""];
  if (restarts) parts.push(`${restarts} restart${restarts > 1 ? "s" : ""}`);
  set($("stages"), parts.filter(Boolean).join(" · "));
}

// What removes the electrodes: the one engine whose work is seen.
function showEngine(engine) {
  set($("engine"), engine ? `Electrodes removed by ${engine.bundle} (${engine.backend}, ${engine.precision})` : "");
}

// What reads the face, how often, what makes muscles of it, and what makes a face of the muscles.
function showEstimator(engines, shown) {
  const { text, title } = networks(engines, shown);
  set($("estimator"), text);
  $("estimator").title = title;
  set($("frontal-by"), ["none", undefined].includes(engines.motion?.bundle) ? "" : "painted by a network: not the camera's pixels");
  if (!engines.exp2emg) return;
  set($("key-guess"), `estimated from the picture, ${engines.exp2emg.relative_to === "strongest muscle" ? "% of the strongest muscle" : "relative"}`);
}

function sentence(id, text) {
  $(id).hidden = !text;
  set($(id), text);
}

// Says one sentence to a screen reader.
export function speak(text) {
  set($("spoken"), text);
}
