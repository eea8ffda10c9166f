// Labels on their way to the server: what it cannot take now is kept in this browser and sent again.
import { NoAnswer, server } from "./api.js";
import { unpacked } from "./mask.js";

const AGAIN_MS = 4000;

export class Outbox {
  // `told(waiting, error)` hears of every change: how many labels wait, and what the server refused for good.
  constructor(drafts, told) {
    this.drafts = drafts;
    this.told = told;
    window.addEventListener("online", () => this.send());
  }

  // Keep a label and send it soon. `label` holds info, runs (see mask.js) and params.
  async post(label) {
    await this.drafts.put("outbox", label.info.image, label);
    this.#later();
    this.told((await this.drafts.all("outbox")).length);
  }

  async send() {
    clearTimeout(this.timer);
    const waiting = await this.drafts.all("outbox");
    for (const { info, runs, params } of waiting) {
      try {
        await server.save(info, unpacked(runs, info.width * info.height * info.frames), params);
        await this.drafts.drop("outbox", info.image);
      } catch (error) {
        if (error instanceof NoAnswer) {
          this.#later();
          break;
        }
        // Refused: it becomes a drawing again, for the annotator to correct.
        await this.drafts.put("drafts", info.image, { runs, info });
        await this.drafts.drop("outbox", info.image);
        this.told((await this.drafts.all("outbox")).length, `${info.name}: not saved. ${error.message}`);
      }
    }
    this.told((await this.drafts.all("outbox")).length);
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), AGAIN_MS);
  }
}
