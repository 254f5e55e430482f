// The 3D face: morphs and lights one small mesh by hand in WebGL2. engines/face/face_bin.py describes the file it reads.

const MAGIC = 0x464f594d, VERSION = 1, HEADER_BYTES = 48;
const EYE_TURN = Math.PI / 6; // at weight 1, as engines/face/gaze.py turns them
const CAMERA_CM = 75, MIDDLE_CM = 0.7, HALF_HEIGHT_CM = 15.4; // how the face is framed
const LONGEST_MS = 250; // a picture that took longer was held up by something else
const STILL = 0.002; // weights that change less leave the face as it is

// Places in engines/face/blendshapes.py
const BLINK = [9, 10], LOOK_DOWN = [11, 12], SQUINT = [19, 20], LOOK = { down: 11, in: 13, out: 15, up: 17 };
const JAW_OPEN = 25, MOUTH_CLOSE = 27;

const faces = []; // all of this page
const PATIENCE = [2, 12]; // where the processor draws: it rests so many times as long as it drew a face, at least and at most
let patience = PATIENCE[0]; // what it is now
let rest = 0, newest = null; // until when nothing is drawn, and which face was drawn last
const meshes = new Map(); // address -> promise of the mesh, which two faces share

export const NO_WEBGL = "This browser cannot draw the 3D face: WebGL 2 is switched off or missing.";

export class Face3D {
  // canvas: its CSS size is what is drawn. meshUrl: where /face.bin is, token included.
  constructor(canvas, meshUrl) {
    this.canvas = canvas;
    this.url = meshUrl;
    this.lost = false; // the browser took the graphics away; it may give them back
    this.ready = false;
    this.mirrored = true;
    this.estimated = false; // hatched: the values are not measured
    this.heat = null;
    this.weights = new Float32Array(52);
    this.dirty = true;
    this.drawing = null; // the picture that is under way
    faces.push(this);
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault(); // or it would never come back
      this.lost = true;
    });
    canvas.addEventListener("webglcontextrestored", () => {
      this.lost = false;
      this.prepare();
    });
  }

  // Fetches the mesh and prepares the graphics; throws an Error whose message is one sentence for the person.
  async load() {
    this.gl ??= context(this.canvas);
    if (!this.gl) throw new Error(NO_WEBGL);
    if (!meshes.has(this.url)) meshes.set(this.url, fetchMesh(this.url));
    try {
      this.mesh = await meshes.get(this.url);
    } catch (error) {
      meshes.delete(this.url); // so that the next attempt asks again
      throw error;
    }
    this.position = new Float32Array(this.mesh.neutral);
    this.normal = new Float32Array(this.mesh.neutral.length);
    this.warmth = new Float32Array(this.mesh.vertices);
    if (!this.lost) this.prepare();
    this.ready = true;
  }

  // values: 52 blendshapes 0..1; none at all is the neutral face.
  setExpression(values) {
    for (let i = 0; i < 52; i++) {
      const weight = values.length ? clamp(values[i]) : 0;
      if (Math.abs(weight - this.weights[i]) > STILL) {
        this.weights[i] = weight;
        this.moved = this.dirty = true;
      }
    }
  }

  // values: activity per channel, 1 = 100 %MVC; NaN is left out. null: the face without a heat map.
  setHeat(values, estimated = false) {
    if (values && this.mesh && values.length !== this.mesh.channels) values = null; // another montage
    if (!values && !this.heat) return;
    this.heat = values;
    this.estimated = estimated;
    this.warmed = this.dirty = true;
  }

  setMirrored(mirrored) {
    this.dirty ||= mirrored !== this.mirrored;
    this.mirrored = mirrored;
  }

  // Draws when something has changed since the last time; says whether it did.
  draw() {
    if (!this.ready || this.lost || this.busy()) return false;
    if (this.fit()) this.dirty = true;
    if (!this.dirty) return false;
    const { gl, mesh } = this;
    if (this.moved) this.move();
    if (this.warmed) this.warm();
    this.moved = this.warmed = this.dirty = false;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.frontFace(this.mirrored ? gl.CW : gl.CCW);
    gl.uniform3f(this.at.frame, this.mirrored ? -1 : 1, this.canvas.width / this.canvas.height, this.heat ? 1 : 0);
    gl.uniform1f(this.at.hatched, this.heat && this.estimated ? this.canvas.height / 60 : 0);
    gl.drawElements(gl.TRIANGLES, mesh.triangles.length, gl.UNSIGNED_SHORT, 0);
    this.drawing = { fence: gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0), since: performance.now() };
    gl.flush();
    newest = this;
    return true;
  }

  // Whether the last picture is still being drawn: what waits in a queue only gets older.
  underWay() {
    const { gl, drawing } = this;
    if (!drawing || this.lost) return false;
    if (gl.clientWaitSync(drawing.fence, 0, 0) === gl.TIMEOUT_EXPIRED) return true;
    gl.deleteSync(drawing.fence);
    this.drawing = null;
    const now = performance.now();
    if (gl.software) rest = now + patience * Math.min(now - drawing.since, LONGEST_MS);
    return false;
  }

  // Where the processor draws, all faces take turns, and it rests after each of them: the mirror comes first.
  busy() {
    if (!this.gl.software) return this.underWay();
    const others = faces.filter((face) => face !== this && face.ready && !face.lost && face.canvas.clientWidth > 0);
    if ([this, ...others].some((face) => face.underWay())) return true;
    return performance.now() < rest || (newest === this && others.some((face) => face.dirty));
  }

  // ---- what changes from frame to frame

  move() {
    const { gl, mesh, position, normal } = this;
    morph(mesh, limited(this.weights), position);
    turnEyes(mesh, this.weights, position);
    smooth(mesh.triangles, position, normal);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.positions);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, position);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.normals);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, normal);
  }

  // One matrix product: points of the skin times channels.
  warm() {
    const { gl, mesh, warmth } = this;
    if (!this.heat) return;
    const values = Float32Array.from(this.heat, (value) => (value > 0 ? (100 * value) / mesh.fullPercent / 255 : 0));
    for (let point = 0, at = 0; point < mesh.skin; point++) {
      let sum = 0;
      for (let channel = 0; channel < mesh.channels; channel++) sum += mesh.heat[at++] * values[channel];
      warmth[point] = sum;
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.warmths);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, warmth);
  }

  // ---- graphics

  prepare() {
    const { gl, mesh } = this;
    if (!mesh) return;
    this.drawing = null;
    const program = link(gl, VERTEX, FRAGMENT);
    gl.useProgram(program);
    this.at = Object.fromEntries(["frame", "hatched", "scale"].map((name) => [name, gl.getUniformLocation(program, name)]));
    gl.bindVertexArray(gl.createVertexArray());
    this.positions = attribute(gl, 0, this.position, 3, gl.FLOAT, gl.DYNAMIC_DRAW);
    this.normals = attribute(gl, 1, this.normal, 3, gl.FLOAT, gl.DYNAMIC_DRAW);
    attribute(gl, 2, mesh.colours, 4, gl.UNSIGNED_BYTE, gl.STATIC_DRAW, true);
    this.warmths = attribute(gl, 3, this.warmth, 1, gl.FLOAT, gl.DYNAMIC_DRAW);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.triangles, gl.STATIC_DRAW);
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, mesh.scale.length / 3, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, mesh.scale);
    for (const [name, value] of [["MIN_FILTER", "LINEAR"], ["MAG_FILTER", "LINEAR"], ["WRAP_S", "CLAMP_TO_EDGE"], ["WRAP_T", "CLAMP_TO_EDGE"]]) {
      gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}`], gl[value]);
    }
    gl.enable(gl.DEPTH_TEST);
    gl.enable(gl.CULL_FACE);
    gl.clearColor(0, 0, 0, 0);
    this.moved = this.warmed = this.dirty = true;
  }

  // The canvas in the pixels of this screen; says whether that changed.
  fit() {
    const ratio = this.gl.software ? 1 : Math.min(devicePixelRatio, 2);
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio)), height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width === width && this.canvas.height === height) return false;
    this.canvas.width = width;
    this.canvas.height = height;
    return true;
  }
}

// The mirror's pictures as they come and as they are shown, per second: where some are lost, faces are drawn less often.
export function giveWay(captured, shown) {
  const change = shown < 0.97 * captured ? 1.5 : 0.9;
  patience = Math.min(PATIENCE[1], Math.max(PATIENCE[0], patience * change));
  return patience;
}

// The colours of the heat map's scale, from rest to its end, as CSS knows them; throws as Face3D.load does.
export async function heatScale(meshUrl) {
  const { scale } = await (meshes.get(meshUrl) ?? fetchMesh(meshUrl));
  return Array.from({ length: scale.length / 3 }, (_, i) => `rgb(${scale.subarray(3 * i, 3 * i + 3).join(" ")})`);
}

// Edges are smoothed only where there is a graphics processor to do it.
function context(canvas) {
  const wanted = { alpha: true, powerPreference: "low-power" };
  const found = canvas.getContext("webgl2", { ...wanted, antialias: !software() });
  if (found) found.software = software();
  return found;
}

// Whether triangles are drawn by the processor. Browsers do not count that as a caveat when they were told to do so.
let answer = null;
function software() {
  if (answer !== null) return answer;
  const gl = document.createElement("canvas").getContext("webgl2");
  const told = gl?.getExtension("WEBGL_debug_renderer_info");
  const name = gl ? gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER) : "";
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return (answer = /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name));
}

async function fetchMesh(url) {
  const answer = await fetch(url).catch(() => null);
  if (!answer) throw new Error("The 3D face could not be fetched from the session.");
  if (!answer.ok) throw new Error((await answer.text()).trim().slice(0, 300) || "The session has no 3D face.");
  return readMesh(await answer.arrayBuffer());
}

export function readMesh(buffer) {
  const head = new DataView(buffer);
  if (buffer.byteLength < HEADER_BYTES || head.getUint32(0, true) !== MAGIC || head.getUint16(4, true) !== VERSION) {
    throw new Error("The session's 3D face is of another version: reload the page.");
  }
  const [vertices, skin, triangles, channels, shapes, moved, colours] = [16, 20, 24, 28, 32, 36, 40].map((at) => head.getUint32(at, true));
  let at = HEADER_BYTES;
  const part = (Type, count) => {
    const found = new Type(buffer, at, count);
    at += 4 * Math.ceil(found.byteLength / 4);
    return found;
  };
  const mesh = { vertices, skin, channels, fullPercent: head.getFloat32(12, true) };
  const unit = head.getFloat32(8, true);
  mesh.neutral = Float32Array.from(part(Int16Array, 3 * vertices), (value) => value * unit);
  mesh.colours = part(Uint8Array, 4 * vertices);
  mesh.triangles = part(Uint16Array, 3 * triangles);
  const eyes = part(Float32Array, 6 * head.getUint16(6, true));
  mesh.eyes = Array.from({ length: eyes.length / 6 }, (_, i) => {
    const [first, count, x, y, z, side] = eyes.subarray(6 * i);
    return { first, count, centre: [x, y, z], side };
  });
  mesh.shapes = part(Float32Array, 3 * shapes);
  mesh.moved = part(Uint16Array, moved);
  mesh.moves = part(Int16Array, 3 * moved);
  mesh.heat = part(Uint8Array, skin * channels);
  mesh.scale = part(Uint8Array, 3 * colours);
  return mesh;
}

// Shapes that say the same twice would add up to a lid in the eye or lips in each other.
function limited(weights) {
  const found = Float32Array.from(weights);
  for (const side of [0, 1]) {
    const open = 1 - weights[BLINK[side]];
    found[LOOK_DOWN[side]] *= open;
    found[SQUINT[side]] *= open;
  }
  found[MOUTH_CLOSE] = Math.min(weights[MOUTH_CLOSE], weights[JAW_OPEN]); // it closes what the jaw opens
  return found;
}

function morph(mesh, weights, out) {
  out.set(mesh.neutral);
  const { shapes, moved, moves } = mesh;
  for (let shape = 0; shape < weights.length; shape++) {
    if (weights[shape] === 0) continue;
    const unit = weights[shape] * shapes[3 * shape], first = shapes[3 * shape + 1], last = first + shapes[3 * shape + 2];
    for (let i = first, from = 3 * first; i < last; i++, from += 3) {
      const to = 3 * moved[i];
      out[to] += unit * moves[from];
      out[to + 1] += unit * moves[from + 1];
      out[to + 2] += unit * moves[from + 2];
    }
  }
}

function turnEyes(mesh, weights, out) {
  for (const { first, count, centre, side } of mesh.eyes) {
    const own = side > 0 ? 0 : 1; // the person's left stands first
    const aside = side * EYE_TURN * (weights[LOOK.out + own] - weights[LOOK.in + own]);
    const up = EYE_TURN * (weights[LOOK.up + own] - weights[LOOK.down + own]);
    const ca = Math.cos(aside), sa = Math.sin(aside), cu = Math.cos(up), su = Math.sin(up);
    for (let i = 3 * first; i < 3 * (first + count); i += 3) {
      const x = mesh.neutral[i] - centre[0], y0 = mesh.neutral[i + 1] - centre[1], z0 = mesh.neutral[i + 2] - centre[2];
      const y = cu * y0 + su * z0, z = cu * z0 - su * y0;
      out[i] = centre[0] + ca * x + sa * z;
      out[i + 1] = centre[1] + y;
      out[i + 2] = centre[2] + ca * z - sa * x;
    }
  }
}

// Normals: the sum of the cross products of a vertex's triangles; the shader gives them length one.
function smooth(triangles, p, out) {
  out.fill(0);
  for (let t = 0; t < triangles.length; t += 3) {
    const a = 3 * triangles[t], b = 3 * triangles[t + 1], c = 3 * triangles[t + 2];
    const ux = p[b] - p[a], uy = p[b + 1] - p[a + 1], uz = p[b + 2] - p[a + 2];
    const vx = p[c] - p[a], vy = p[c + 1] - p[a + 1], vz = p[c + 2] - p[a + 2];
    const x = uy * vz - uz * vy, y = uz * vx - ux * vz, z = ux * vy - uy * vx;
    out[a] += x; out[a + 1] += y; out[a + 2] += z;
    out[b] += x; out[b + 1] += y; out[b + 2] += z;
    out[c] += x; out[c + 1] += y; out[c + 2] += z;
  }
}

function clamp(value) {
  return value > 0 ? Math.min(value, 1) : 0; // NaN is 0, too
}

function attribute(gl, place, data, size, type, usage, shares = false) {
  const buffer = gl.createBuffer();
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, data, usage);
  gl.enableVertexAttribArray(place);
  gl.vertexAttribPointer(place, size, type, shares, 0, 0);
  return buffer;
}

function link(gl, ...sources) {
  const program = gl.createProgram();
  sources.forEach((source, i) => {
    const shader = gl.createShader(i ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  });
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`The 3D face's shader does not work here: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}

// Light falls on vertices, which lie two or three pixels apart: a browser without a graphics processor has fewer of them.
// Squares and roots stand for sRGB's curve.
const VERTEX = `#version 300 es
precision highp float;
layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in vec4 tint; // 0..1, and the material in 255ths
layout(location = 3) in float warmth;
uniform vec3 frame; // -1 mirrored, the canvas's width over its height, 1 with heat map
uniform float hatched;
uniform sampler2D scale;
out vec3 colour;
out vec3 between; // the colour between the lines of a hatch
out vec3 shine; // half-way normal of what is wet
out float solid; // the neck fades away
const vec3 KEY = normalize(vec3(-0.45, 0.6, 0.75)), FILL = normalize(vec3(0.8, 0.1, 0.6));
vec3 lit(vec3 base, vec3 light) { return sqrt(base * light); }
vec3 warm(vec3 own, float share) {
  vec3 found = texture(scale, vec2(clamp(share, 0.0, 1.0) * 0.984 + 0.008, 0.5)).rgb;
  float mark = dot(own, vec3(0.3, 0.6, 0.1)) / 0.53; // lips and brows stay just visible
  return found * found * mix(1.0, mark, 0.45 * (1.0 - clamp(share, 0.0, 1.0)));
}
void main() {
  vec3 to = normalize(normal) * vec3(frame.x, 1.0, 1.0), own = tint.rgb * tint.rgb;
  float material = floor(tint.a * 255.0 + 0.5), skin = material < 0.5 ? 1.0 : 0.0, mapped = skin * frame.z;
  float key = max(0.0, (dot(to, KEY) + 0.3) / 1.3), fill = max(0.0, (dot(to, FILL) + 0.4) / 1.4);
  vec3 light = vec3(0.80, 0.77, 0.73) * key * key + vec3(0.20, 0.23, 0.27) * fill
    + mix(vec3(0.17, 0.14, 0.13), vec3(0.25, 0.26, 0.28), 0.5 + 0.5 * to.y);
  light = mix(light, vec3(dot(light, vec3(0.333))) * 0.6 + 0.42, 0.6 * mapped); // colours are to be read off
  float edge = 1.0 - max(to.z, 0.0);
  light += skin * (1.0 - mapped) * vec3(0.16, 0.10, 0.08) * edge * edge * edge;
  colour = lit(mapped > 0.0 ? warm(own, warmth) : own, light);
  between = mapped > 0.0 && hatched > 0.0 ? lit(warm(own, 0.5 * warmth), light) : colour;
  shine = material > 0.5 && material < 1.5 ? to : vec3(0.0);
  solid = clamp((position.y + 13.6) / 3.0, 0.0, 1.0);
  float away = ${CAMERA_CM.toFixed(1)} - position.z, zoom = ${(CAMERA_CM / HALF_HEIGHT_CM).toFixed(3)} * min(1.0, frame.y * 1.28);
  vec2 at = vec2(position.x * frame.x, position.y - ${MIDDLE_CM.toFixed(1)}) * zoom * vec2(1.0 / frame.y, 1.0);
  gl_Position = vec4(at, (away - ${CAMERA_CM.toFixed(1)}) * 0.02 * away, away);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
uniform vec3 frame;
uniform float hatched; // period in pixels, 0: none
in vec3 colour;
in vec3 between;
in vec3 shine;
in float solid;
out vec4 pixel;
void main() {
  vec3 found = colour;
  if (hatched > 0.0 && fract((gl_FragCoord.x + gl_FragCoord.y) / hatched) < 0.4) found = between;
  float wet = max(0.0, dot(shine, vec3(-0.237, 0.316, 0.919)));
  wet *= wet; wet *= wet; wet *= wet; wet *= wet; wet *= wet; wet *= wet;
  pixel = vec4(found + 0.6 * wet, 1.0) * solid;
}`;
