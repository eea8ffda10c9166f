// Labels on their way to the server: what it cannot take now is kept in this browser and sent again.
import { NoAnswer, server } from "./api.js";
import { unpacked } from "./mask.js";

const AGAIN_MS = 4000;

export class Outbox {
  #turn = Promise.resolve();

  // `told(waiting, error)` hears of every change: how many labels wait, and what the server refused for good.
  constructor(drafts, told) {
    this.drafts = drafts;
    this.told = told;
    window.addEventListener("online", () => this.send());
  }

  // Do something with labels when nothing else is being done with them: a label on its way to the server would land on a
  // newer one of the same frame, or take its place here.
  alone(act) {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
  }

  // Keep a label and send it soon. `label` holds info, runs (see mask.js) and params.
  async post(label) {
    await this.alone(() => this.drafts.put("outbox", label.info.image, label));
    this.#later();
    this.told((await this.drafts.all("outbox")).length);
  }

  async send() {
    clearTimeout(this.timer);
    for (const { image } of await this.drafts.all("outbox")) {
      if (!(await this.alone(() => this.#sendOne(image)))) {
        this.#later();
        break;
      }
    }
    this.told((await this.drafts.all("outbox")).length);
  }

  // Send what waits for a frame now; false when the server does not answer.
  async #sendOne(image) {
    const label = await this.drafts.get("outbox", image);
    if (!label) {
      return true; // a newer label was saved meanwhile
    }
    const { info, runs, params } = label;
    try {
      await server.save(info, unpacked(runs, info.width * info.height * info.frames), params);
    } catch (error) {
      if (error instanceof NoAnswer) {
        return false;
      }
      // Refused: it becomes a drawing again, for the annotator to correct.
      await this.drafts.put("drafts", image, { runs, info });
      await this.drafts.drop("outbox", image);
      this.told((await this.drafts.all("outbox")).length, `${info.name}: not saved. ${error.message}`);
      return true;
    }
    await this.drafts.drop("outbox", image);
    return true;
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), AGAIN_MS);
  }
}
