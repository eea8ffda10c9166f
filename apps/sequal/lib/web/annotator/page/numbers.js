// The thickness of what is drawn, asked of the server while it is drawn, beside that of the model's mask.
import { NoAnswer, server } from "./api.js";
import { flagsOf, maxOf, meanOf, modelWords } from "./words.js";

const PAUSE_MS = 150;
const element = (id) => document.getElementById(id);
const CELLS = ["mine-mean", "mine-max", "mine-words", "model-mean", "model-max", "model-words"];

export class Numbers {
  #timer = null;
  #asking = null; // the request that is on its way
  #isStale = false; // the drawing changed since it was sent
  #work = null;

  // Begin with another frame: nothing of the last one stays.
  clear(work) {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#work = work;
    if (this.#asking) {
      this.#asking.abort();
      this.#asking = null;
    }
    CELLS.forEach((id) => this.#put(id, ""));
    if (work) {
      this.#put("model-words", "The model was not asked about this frame yet.");
    }
  }

  // The drawing changed.
  changed() {
    ["mine-mean", "mine-max"].forEach((id) => element(id).classList.add("dim"));
    this.#isStale = true;
    if (this.#timer === null && this.#asking === null && this.#work) {
      this.#timer = setTimeout(() => this.#ask(), PAUSE_MS);
    }
  }

  model() {
    const { said } = this.#work.model || {};
    if (said) {
      // In whole pixels, as what is drawn is measured: a mask that nobody touched has one thickness.
      const imt = this.#ofFrame(said.of_mask);
      this.#put("model-mean", imt.columns ? meanOf(imt) : "–");
      this.#put("model-max", imt.columns ? maxOf(imt) : "–");
      this.#put("model-words", modelWords({ ...said, imt }));
    }
  }

  // Of a clip, the frame that is shown.
  #ofFrame(said) {
    return said.imt_frames ? said.imt_frames[this.#work.index] : said.imt;
  }

  async #ask() {
    const work = this.#work;
    this.#timer = null;
    this.#isStale = false;
    const asking = new AbortController();
    this.#asking = asking;
    let found = null;
    let warnings;
    try {
      const reply = await server.measure(work.info, work.mask.voxels, asking.signal);
      found = this.#ofFrame(reply);
      warnings = reply.warnings || [];
    } catch (error) {
      warnings = [error instanceof NoAnswer ? "No thickness while the server does not answer." : error.message];
    }
    if (asking !== this.#asking) {
      return; // another frame is open
    }
    this.#asking = null;
    this.#show(found, warnings);
    if (this.#isStale) {
      this.changed();
    }
  }

  #show(imt, warnings) {
    const isDrawn = Boolean(imt && imt.columns);
    this.#put("mine-mean", isDrawn ? meanOf(imt) : "–");
    this.#put("mine-max", isDrawn ? maxOf(imt) : "–");
    const nothing = imt && !imt.columns ? "Nothing is drawn." : "";
    // The warning of a second piece says more than the flag.
    const flags = imt ? imt.flags.filter((flag) => flag !== "several_pieces" || !warnings.length) : [];
    this.#put("mine-words", [nothing, flagsOf({ flags }), ...warnings].filter(Boolean).join(" "));
    element("mine-words").className = warnings.length ? "bad" : "dim";
  }

  #put(id, text) {
    element(id).textContent = text;
    element(id).classList.remove("dim");
    if (id.endsWith("words")) {
      element(id).classList.add("dim");
    }
  }
}
