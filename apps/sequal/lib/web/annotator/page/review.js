// Where the model expects its mask to be wrong, as a shade under the curves. It is asked for when it is shown.
import { server } from "./api.js";
import { remember, remembered } from "./settings.js";

const KEPT = "review";

export class Review {
  // `work` gives the frame that is open; `say` tells the annotator.
  constructor(view, { work, say }) {
    this.view = view;
    this.parts = { work, say };
    this.box = document.getElementById("review");
    this.box.onchange = () => this.toggle();
    this.#show(remembered(KEPT) === "yes");
  }

  async toggle() {
    this.#show(!this.isShown);
    remember(KEPT, this.isShown ? "yes" : "no");
    await this.refresh();
  }

  // What was asked before no longer holds: the model looked again, or another one is in service.
  async forget() {
    const work = this.parts.work();
    if (work) {
      work.review = null;
    }
    await this.refresh();
  }

  // Shade the frame that is shown now.
  async refresh() {
    const work = this.parts.work();
    const asking = (this.asking = {}); // of several answers the last one that was asked for counts
    this.view.set({ review: null });
    if (!work || !this.isShown) {
      return;
    }
    try {
      const found = work.review || (await server.review(work.info));
      if (asking === this.asking) {
        work.review = found;
        this.view.set({ review: found.subarray(work.index * work.mask.size, (work.index + 1) * work.mask.size) });
      }
    } catch (error) {
      if (asking === this.asking) {
        this.#show(false); // every frame would say the same
        this.parts.say(error.message, "bad");
      }
    }
  }

  #show(isShown) {
    this.isShown = isShown;
    this.box.checked = isShown;
  }
}
