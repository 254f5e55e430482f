// What the person chose on this page; kept in the tab so that a reload changes nothing.

const KEY = "myomirror-choices";

export class Choices extends EventTarget {
  constructor() {
    super();
    this.mirrored = null; // null: as the session says
    this.started = false;
    this.muscles = null;
    this.trained = null;
    this.forbidden = null;
    this.target = null;
    Object.assign(this, JSON.parse(sessionStorage.getItem(KEY) ?? "{}"));
  }

  // Takes the session's settings where the person has not chosen otherwise; another subject starts afresh.
  adopt(hello) {
    if (this.subject !== hello.subject) {
      Object.assign(this, { muscles: null, trained: null, forbidden: null, target: null });
    }
    const known = new Set(hello.pairs.map((pair) => pair.muscle));
    this.subject = hello.subject;
    this.muscles = (this.muscles ?? hello.chosen).filter((muscle) => known.has(muscle));
    this.trained ??= hello.trained;
    this.forbidden ??= hello.forbidden;
    this.target ??= hello.target_percent;
    this.mirrored ??= hello.mirrored;
    this.set({});
  }

  set(change) {
    Object.assign(this, change);
    sessionStorage.setItem(KEY, JSON.stringify(this));
    this.dispatchEvent(new Event("change"));
  }

  role(muscle) {
    if (muscle === this.trained) return "trained";
    return muscle === this.forbidden ? "forbidden" : "";
  }
}
