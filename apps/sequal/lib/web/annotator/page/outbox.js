// Labels on their way to the server: what it cannot take now is kept in this browser and sent again.
import { NoAnswer, server } from "./api.js";
import { unpacked } from "./mask.js";
import { clockOf } from "./words.js";
import { labelStamp } from "./work.js";

const AGAIN_MS = 4000;

export class Outbox {
  #turn = Promise.resolve();

  // `waiting(count)`, `sent(image, stamp, name)` and `refused(image, words)` hear how many labels wait, what the server took,
  // and what it did not take.
  constructor(drafts, { waiting, sent, refused }) {
    this.drafts = drafts;
    this.told = { waiting, sent, refused };
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
    await this.#tell();
  }

  async #tell() {
    this.told.waiting((await this.drafts.all("outbox")).length);
  }

  async send() {
    clearTimeout(this.timer);
    for (const { image } of await this.drafts.all("outbox")) {
      if (!(await this.alone(() => this.#sendOne(image)))) {
        this.#later();
        break;
      }
    }
    await this.#tell();
  }

  // Send what waits for a frame now; false when the server does not answer.
  async #sendOne(image) {
    const label = await this.drafts.get("outbox", image);
    if (!label) {
      return true; // a newer label was saved meanwhile
    }
    const { info, runs, params, base } = label;
    let stamp;
    try {
      const there = await server.frame(image);
      // Of a colleague, since the frame was opened here.
      if (labelStamp(there) && labelStamp(there) !== base && there.by !== params.client_id) {
        throw new Error(
          `${there.by || "Somebody"} saved a label at ${clockOf(there.when)}. Open the frame to choose one of the two.`
        );
      }
      await server.save(info, unpacked(runs, info.width * info.height * info.frames), params);
      stamp = labelStamp(await server.frame(image));
    } catch (error) {
      if (error instanceof NoAnswer) {
        return false;
      }
      await this.#takeBack(label, error);
      return true;
    }
    await this.#moveOn(image, base, stamp);
    await this.drafts.drop("outbox", image);
    this.told.sent(image, stamp, info.name);
    return true;
  }

  // A label that is refused becomes a drawing again, for the annotator to correct; one that was drawn since stays.
  async #takeBack(label, error) {
    const { image, info } = label;
    if (!(await this.drafts.get("drafts", image))) {
      await this.drafts.put("drafts", image, label);
    }
    await this.drafts.drop("outbox", image);
    this.told.refused(image, `${info.name}: not saved. ${error.message}`);
    await this.#tell();
  }

  // What was drawn after the label was saved goes on from that label, which now is at the server.
  async #moveOn(image, base, stamp) {
    const draft = await this.drafts.get("drafts", image);
    if (draft && draft.base === base) {
      await this.drafts.put("drafts", image, { ...draft, base: stamp });
    }
  }

  #later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), AGAIN_MS);
  }
}
