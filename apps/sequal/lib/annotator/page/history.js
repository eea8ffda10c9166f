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

  undo() {
    if (!this.canUndo()) {
      return false;
    }
    this.mask.apply(this.#steps[this.#now], "before");
    this.#now -= 1;
    return true;
  }

  redo() {
    if (!this.canRedo()) {
      return false;
    }
    this.#now += 1;
    this.mask.apply(this.#steps[this.#now], "after");
    return true;
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
