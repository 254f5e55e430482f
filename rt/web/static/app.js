// The live page: what arrives is drawn in the next animation frame and then acknowledged.

import { Bars } from "./bars.js";
import { Guide } from "./calibrate.js";
import { Choices } from "./choices.js";
import { Connection } from "./connection.js";
import { Contacts } from "./contacts.js";
import { buildChooser, openStart, showEnded, wireDialogs } from "./dialogs.js";
import { Envelopes } from "./envelopes.js";
import * as estimates from "./estimates.js";
import { giveWay } from "./face3d.js";
import { Faces } from "./faces.js";
import { FrontalView } from "./frontal.js";
import { Glide } from "./glide.js";
import { HeatPicture } from "./heat_picture.js";
import { HeatSource } from "./heat_source.js";
import { Mirror } from "./mirror.js";
import { $, showHello, showSides, showStatus, speak } from "./panel.js";
import { Practise, showHalves } from "./practise.js";
import * as protocol from "./protocol.js";
import { Symmetry } from "./symmetry.js";

const WRITE_MS = 200, PLOT_MS = 50, SPEAK_MS = 1000, CONFIRM_MS = 4000, TOUCHED_MS = 2000;

const choices = new Choices();
const mirror = new Mirror($("picture"), $("stage"));
const bars = new Bars($("bars")), symmetry = new Symmetry($("symmetry"));
const contacts = new Contacts($("contact-map"), $("contact-summary"), $("contact-rows"));
const envelopes = new Envelopes($("plot"), $("legend"));
const key = token(), heat = new HeatSource(), faces = new Faces(key, heat);
const glide = new Glide();
const heatPicture = (mirror.overlay = new HeatPicture(key, heat, () => mirror.again()));
const reduced = matchMedia("(prefers-reduced-motion: reduce)");

let hello = null, live = null, status = null;
let emg = "none", guess = "none"; // "live", "old" or "none"; guess: muscles as estimated from the picture
let controls = true, stopping = false;
let touched = -Infinity; // when a control of the picture was last used
let frameSeen = NaN; // server seconds of the newest picture on the canvas
let frameFlags = 0; // and what is known about it
let answers = []; // packets without a picture that wait for the next animation frame
let asked = false; // an animation frame is asked for
const badges = { picture: "", emg: "", guess: "" }; // what is said to be old
let lastWrite = 0, lastPlot = 0, lastSpeak = 0;

const connection = new Connection(key, { packet: takePacket, frontal: (block) => frontal.take(block), message: takeMessage, state: takeState });
const frontal = new FrontalView((name, value) => connection.wish(name, value));
const practise = new Practise((name, value) => connection.wish(name, value), () => { touched = performance.now(); });
const guide = new Guide((word) => connection.wish("guide", word), () => stop());

function token() {
  const address = new URLSearchParams(location.search);
  const found = address.get("token") ?? sessionStorage.getItem("myomirror-token") ?? "";
  sessionStorage.setItem("myomirror-token", found);
  history.replaceState(null, "", "/");
  return found;
}

// ---- what arrives

function takePacket(buffer, answer) {
  const received = performance.now();
  const reply = (drawn) => answer(new DataView(buffer).getUint32(8, true), drawn, performance.now() - received);
  if (!live || document.hidden) return reply(false);
  live.read(buffer);
  glide.follow(live);
  connection.heardAt(live.tSent, received);
  envelopes.add(live);
  const packet = { id: live.id, tCapture: live.tCapture, flags: live.flags, landmarks: live.landmarks, reply };
  if (live.jpeg) mirror.take(live.jpeg, packet, ask);
  else answers.push(packet);
  ask();
}

function takeMessage(message) {
  if (message.type === "hello") takeHello(message);
  else if (message.type === "status") takeStatus(message);
  else if (message.type === "alarm" || message.type === "refused") speak(message.text);
  else if (message.type === "guide") guide.show(message);
  else if (message.type === "role") takeRole(message);
  else if (message.type === "ended") end(stopping ? "Session stopped" : "Session ended", message.rows);
}

// The picture's controls follow the session, except while somebody is using them.
function takeStatus(message) {
  status = message;
  showStatus(status);
  giveWay(status.fps_captured, status.fps_shown);
  if (performance.now() - touched < TOUCHED_MS) return;
  practise.follow(status);
  for (const removal of document.getElementsByName("restore")) removal.checked = removal.value === status.removal;
}

function takeHello(message) {
  hello = message;
  live = new protocol.Live(hello.channels.length, hello.pairs.length);
  choices.adopt(hello);
  showHello(hello, choices);
  practise.build(hello);
  guide.build(hello);
  buildChooser(hello, choices);
  openStart(choices);
}

function takeRole(role) {
  controls = role.controls;
  $("watching").hidden = controls;
  for (const id of ["record", "calibrate", "calibrate-rest", "calibrate-reference"]) $(id).disabled = !controls;
  practise.enable(controls);
  frontal.enable(controls);
  guide.enable(controls);
  for (const choice of document.getElementsByName("restore")) choice.disabled = !controls;
}

function takeState(state) {
  const lost = state === "lost";
  $("lost").hidden = !lost;
  $("session").classList.toggle("offline", lost);
  if (!lost) return;
  if (stopping && connection.unsent.length === 0 && connection.hungUp) return end("Session stopped");
  mirror.reset();
  answers = [];
  speak("Connection lost");
}

// ---- what is drawn

function ask() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(draw);
}

function draw(now) {
  asked = false;
  if (!live) return;
  const drawn = mirror.draw();
  if (mirror.waiting.length) ask();
  if (drawn) {
    frameSeen = drawn.tCapture;
    frameFlags = drawn.flags;
    $("waiting").hidden = true;
  }
  bars.draw(live);
  symmetry.draw(live);
  faces.draw(live);
  frontal.draw(live);
  if (now - lastPlot > (reduced.matches ? 4 * PLOT_MS : PLOT_MS)) {
    lastPlot = now;
    envelopes.draw(now / 1000 - connection.offset);
  }
  drawn?.reply(true);
  for (const packet of answers.splice(0)) packet.reply(true);
}

// Ages are judged here and not in the server, so that a dead server cannot look alive.
function watch() {
  if (!live || connection.state === "ended") return;
  const now = performance.now();
  judgePicture(now);
  judgeEmg(now);
  judgeEstimate(now);
  if (now - lastWrite > WRITE_MS) {
    lastWrite = now;
    for (const part of [bars, symmetry, contacts]) part.write(live, emg, guess);
    frontal.write(live, emg, connection.ageMs(frontal.t, now));
    heat.judge(live, emg, guess);
    heatPicture.write(live);
    faces.write(live, { camera: connection.ageMs(live.tExpression, now), emg: connection.ageMs(live.tExpressionEmg, now) });
  }
  if (now - lastSpeak > SPEAK_MS) {
    lastSpeak = now;
    for (const part of [bars, symmetry]) part.speak(live, emg, guess);
  }
}

function judgePicture(now) {
  const age = connection.ageMs(frameSeen, now);
  const old = age > hello.frame_limit_ms || Boolean(live.flags & protocol.STALE_FRAME && !Number.isNaN(age));
  badge("picture", $("stale"), old ? pictureText(seconds(age)) : "");
  mirror.stage.classList.toggle("stale", old);
  mirror.stage.classList.toggle("bare", old && hello.hide_when_stale);
  $("oval").hidden = !(live.flags & protocol.FIXED_CROP);
  nameHalves();
  $("raw").hidden = !(frameFlags & protocol.RAW);
  $("edit").hidden = !(frameFlags & protocol.EDIT);
}

// What stands over a picture that is not live, or in its place.
function pictureText(age) {
  const why = live.flags & protocol.NO_FACE ? "No face found. " : "";
  if (hello.hide_when_stale) return `${why}No picture for ${age}`;
  return hello.removals.length ? `${why}Last good picture, ${age} old` : `Picture is ${age} old`;
}

function judgeEmg(now) {
  const age = connection.ageMs(live.tEmg, now);
  if (!(live.flags & protocol.EMG)) emg = "none";
  else emg = age > hello.emg_limit_ms || live.flags & protocol.STALE_EMG ? "old" : "live";
  if (connection.state !== "live") emg = "old";
  badge("emg", $("emg-stale"), emgText(age));
  $("session").classList.toggle("emg-stale", emg !== "live");
}

function emgText(age) {
  if (!hello.amplifier) return hello.estimated ? "" : "No amplifier in this session";
  return { live: "", none: "No EMG signal", old: `EMG is ${seconds(age)} old` }[emg];
}

function judgeEstimate(now) {
  if (!hello.estimated) return;
  const age = connection.ageMs(live.tExpression, now);
  guess = connection.state === "live" ? estimates.judge(live, hello, age) : "old";
  badge("guess", $("guess-stale"), estimates.sentence(guess, age, Boolean(live.flags & protocol.NO_FACE)));
  $("session").classList.toggle("guess-stale", guess !== "live");
}

// Shows how old something is; says it once when it begins and not at every tenth of a second.
function badge(which, node, text) {
  if (text && !badges[which] && connection.state === "live") speak(text);
  badges[which] = text;
  node.hidden = !text;
  if (node.textContent !== text) node.textContent = text;
}

function seconds(ageMs) {
  return `${(ageMs / 1000).toFixed(1)} s`;
}

// ---- what the person does

function nameHalves() {
  showHalves(choices.mirrored, practise.view === "beside" && Boolean(frameFlags & protocol.PRACTISE));
}

function rebuild() {
  if (!hello) return;
  for (const part of [bars, symmetry, contacts, envelopes, heat, faces, heatPicture]) part.build(hello, choices);
  showSides(choices.mirrored);
  frontal.build(hello, choices);
  nameHalves();
  mirror.flip(choices.mirrored);
  guide.flip(choices.mirrored);
  $("mirrored").checked = choices.mirrored;
  lastWrite = lastSpeak = 0;
}

// Stop asks nothing back. The page says 'stopped' when the session has confirmed it, by word or by closing the line.
function stop() {
  if (connection.state === "ended" || stopping) return;
  stopping = true;
  if (!connection.wish("stop")) {
    showEnded("Not stopped yet", "The session cannot be reached. Stop is sent as soon as it answers; otherwise close it where it was started.", status, {});
    return;
  }
  showEnded("Stopping…", "", status, {});
  setTimeout(() => {
    if (connection.state !== "ended") showEnded("Stopping…", "The session has not confirmed yet. If it goes on, close it where it was started.", status, {});
  }, CONFIRM_MS);
}

function end(title, rows) {
  showEnded(title, "", status, rows ?? {});
  connection.end();
}

function marker() {
  if (connection.wish("marker", "marker")) speak("Marker set");
}

const keys = { KeyS: stop, KeyR: () => $("record").click(), KeyM: marker };
addEventListener("keydown", (event) => {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.repeat || !keys[event.code]) return;
  event.preventDefault();
  keys[event.code]();
});

$("stop").addEventListener("click", stop);
$("marker").addEventListener("click", marker);
$("record").addEventListener("click", () => connection.wish("record", status?.recording !== "on"));
$("take-control").addEventListener("click", () => connection.wish("take_control"));
for (const step of ["rest", "reference"]) {
  $(`calibrate-${step}`).addEventListener("click", () => {
    connection.wish(`calibrate_${step}`);
    $("calibrator").close(); // what the person is to do now stands above the picture
  });
}
$("mirrored").addEventListener("change", (event) => choices.set({ mirrored: event.target.checked }));
$("target").addEventListener("input", (event) => {
  $("target-text").textContent = `${event.target.value} %`;
  choices.target = Number(event.target.value);
  bars.build(hello, choices);
});
$("target").addEventListener("change", () => choices.set({}));
for (const removal of document.getElementsByName("restore")) {
  removal.addEventListener("change", () => {
    touched = performance.now();
    connection.wish("restore", removal.value);
  });
}
choices.addEventListener("change", rebuild);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", rebuild);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    mirror.reset();
    for (const packet of answers.splice(0)) packet.reply(false);
  }
  connection.visible(!document.hidden);
});

wireDialogs();
setInterval(watch, 50);
