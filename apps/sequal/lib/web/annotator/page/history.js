// Undo and redo over every kind of edit, and whether what is drawn is saved.
const START = {};
const NEVER = {};

export class History {
  #steps = [START];
  #now = 0; // the step that was applied last
  #saved = START; // the step after which the label was saved

  constructor(mask, { unsaved = false } = {}) {
    this.mask = mask;
    this.#saved = unsaved ? NEVER : START;
  }

  // Note a difference that `Mask.edit` gave; null is no step.
  push(change) {
    if (change) {
      this.#now += 1;
      this.#steps.length = this.#now;
      this.#steps.push(change);
    }
  }

  // The difference that was taken back, or null.
  undo() {
    if (!this.canUndo()) {
      return null;
    }
    const change = this.#steps[this.#now];
    this.mask.apply(change, "before");
    this.#now -= 1;
    return change;
  }

  redo() {
    if (!this.canRedo()) {
      return null;
    }
    this.#now += 1;
    this.mask.apply(this.now(), "after");
    return this.now();
  }

  canUndo() {
    return this.#now > 0;
  }

  canRedo() {
    return this.#now < this.#steps.length - 1;
  }

  // The state as it is now, for `saved`: what is drawn while a label is on its way is not saved with it.
  now() {
    return this.#steps[this.#now];
  }

  saved(state = this.now()) {
    this.#saved = state;
  }

  isUnsaved() {
    return this.now() !== this.#saved;
  }
}
