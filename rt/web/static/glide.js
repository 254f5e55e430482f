// Between two readings of the face: where the network reads fewer pictures than are shown, faces and estimates glide
// from one reading to the next instead of jumping. They arrive when the next one is due, so they are late by the time
// between two readings at most; nothing is guessed ahead.

const EVERY_PICTURE_S = 0.045; // readings that come as fast as that are shown as they are
const LONGEST_S = 0.3; // after a longer pause the new reading counts at once
const NAMES = ["expression", "estimatePercent", "estimateSpread"];

export class Glide {
  constructor() {
    this.ways = NAMES.map((name) => ({ name, way: new Way() }));
  }

  // Puts what is to be shown now in the place of the newest reading, in a packet that has just been read.
  follow(live) {
    for (const { name, way } of this.ways) {
      if (live[name].length) way.follow(live[name], live.tSent);
    }
  }
}

class Way {
  constructor() {
    this.since = NaN; // when the newest reading came, server seconds
    this.span = 0; // how long the way to it takes
    this.from = this.to = this.shown = new Float32Array(0);
  }

  follow(values, now) {
    if (differ(values, this.to)) this.take(values, now);
    const share = this.span > 0 ? Math.min(Math.max((now - this.since) / this.span, 0), 1) : 1;
    const { from, to, shown } = this;
    for (let i = 0; i < to.length; i++) {
      const way = share < 1 ? from[i] + share * (to[i] - from[i]) : to[i];
      values[i] = shown[i] = Number.isNaN(way) ? to[i] : way; // what could not be said before counts at once
    }
  }

  take(values, now) {
    const passed = now - this.since; // NaN at first
    this.span = passed > EVERY_PICTURE_S && passed <= LONGEST_S ? passed : 0;
    this.since = now;
    if (this.to.length !== values.length) {
      [this.from, this.to, this.shown] = [0, 1, 2].map(() => Float32Array.from(values));
    }
    this.from.set(this.shown);
    this.to.set(values);
  }
}

function differ(a, b) {
  if (a.length !== b.length) return true;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i] && !(Number.isNaN(a[i]) && Number.isNaN(b[i]))) return true;
  return false;
}
