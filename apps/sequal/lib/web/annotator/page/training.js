// Training: progress, what judged the new model, and the way back to a former one.
import { MODEL, server } from "./api.js";
import { timeOf } from "./words.js";

const POLL_MS = 2000;
const STARTS_WITHIN_MS = 8000; // until then, "not running" does not mean that it has ended
const element = (id) => document.getElementById(id);
const dice = (value) => (typeof value === "number" ? value.toFixed(3) : "–");

// The names of images, as the list has them: on a PACS an id is a number that nobody knows.
const namesOf = (images) =>
  Promise.all(
    images.map(async (image) => {
      const found = await server.frames({ search: image, limit: 1 }).catch(() => ({ frames: [] }));
      const row = found.frames.find((frame) => frame.image === image);
      return row ? row.name : image;
    })
  );

// What the labels said of the new model, in sentences.
export const verdictWords = async (stats) => {
  const { judged, published, published_reason: reason } = stats;
  const outcome = published ? "The new model is in use." : `The model stays as it was: ${reason}.`;
  if (!judged || !judged.frames) {
    return outcome;
  }
  const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
  const by = `${count(judged.frames, "label")} of ${count(judged.patients, "patient")} judged it`;
  const overlap = `Overlap (Dice) ${dice(judged.before)} before, ${dice(judged.after)} after.`;
  const names = await namesOf(judged.doubted || []);
  const doubted = names.length ? ` Look again at ${names.join(", ")}.` : "";
  return `${outcome} ${by}. ${overlap}${doubted}`;
};

export class Training {
  // `changed()` is called when another model is in service.
  constructor({ changed, say }) {
    this.changed = changed;
    this.say = say;
    element("train").onclick = () => this.start();
    element("model-back").onclick = () => this.use(Number(element("model-back").dataset.round));
  }

  async start() {
    element("train").disabled = true;
    try {
      if (!(await server.labels()).labels) {
        throw new Error("There is no label yet. Save one first.");
      }
      const { train_stats } = await server.info();
      const before = JSON.stringify(train_stats[MODEL] || {});
      await server.train();
      await this.#watch(before, Date.now());
    } catch (error) {
      element("train-text").textContent = error.message;
    }
    element("train").disabled = false;
    element("train-bar").hidden = true;
    await this.refresh().catch((error) => this.say(error.message, "bad"));
  }

  // A training that somebody else started, or this page before a reload.
  async join() {
    await this.refresh();
    const { train_stats } = await server.info();
    const stats = train_stats[MODEL] || {};
    if (await server.isTraining()) {
      element("train").disabled = true;
      await this.#watch("", stats.start_ts && stats.total_time === undefined ? 1000 * stats.start_ts : Date.now());
      element("train").disabled = false;
      element("train-bar").hidden = true;
      await this.refresh();
    } else if (stats.total_time && !stats.error) {
      element("train-text").textContent = `The last training: ${await verdictWords(stats)}`;
    }
  }

  async #watch(before, since) {
    for (;;) {
      const isListed = await server.isTraining();
      const known = await server.info().catch(() => null);
      if (!known) {
        element("train-text").textContent = "The server does not answer. If it still runs, the training goes on there.";
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
        continue;
      }
      const stats = known.train_stats[MODEL] || {};
      const isNew = JSON.stringify(stats) !== before;
      if (!isListed && (isNew || Date.now() - since > STARTS_WITHIN_MS)) {
        const failed = stats.error ? `The training ended early: ${stats.error}` : "The training ended early; the log says why.";
        element("train-text").textContent = isNew && stats.total_time && !stats.error ? await verdictWords(stats) : failed;
        if (stats.published) {
          this.changed();
        }
        return;
      }
      this.#show(isNew && !stats.total_time ? stats : {}, since);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  #show({ doing, epoch, total_epochs: total }, since) {
    const bar = element("train-bar");
    bar.hidden = false;
    const part = doing === "Training" ? `: ${epoch} of ${total} parts are done` : "";
    const left = part ? this.#left(epoch, total) : "";
    const time = `${timeOf(Date.now() - since)} since the start${left}`;
    element("train-text").textContent = `${doing || "Starting the training program"}${part}. ${time}.`;
    if (part) {
      bar.max = total;
      bar.value = epoch;
    } else {
      bar.removeAttribute("value");
    }
  }

  // How long the parts that are left take, if each takes as long as those whose end this page saw.
  #left(epoch, total) {
    const now = Date.now();
    if (!this.seen || epoch < this.seen.last) {
      this.seen = { first: epoch, last: epoch, from: now, to: now };
    }
    if (epoch > this.seen.last) {
      Object.assign(this.seen, { last: epoch, to: now });
    }
    const { first, last, from, to } = this.seen;
    return last > first ? `, about ${timeOf(((to - from) / (last - first)) * (total - epoch))} of training left` : "";
  }

  // The models to choose from, and what the labels come from.
  async refresh() {
    const [{ models, in_service: now }, labels] = await Promise.all([server.models(), server.labels()]);
    const parts = [labels.labels === 1 ? "1 label" : `${labels.labels} labels`];
    parts.push(...(labels.unedited ? [`${labels.unedited} taken over unedited`] : []));
    parts.push(...(labels.no_wall ? [`${labels.no_wall} without a wall`] : []));
    element("labels-text").textContent = `${parts.join(", ")}.`;
    const before = models.filter((model) => now !== null && model.round < now && model.status !== "rejected").pop();
    element("model-back").hidden = !before;
    if (before) {
      element("model-back").dataset.round = before.round;
    }
    element("models-summary").textContent = `Models (in service: ${this.#name(now)})`;
    element("models").replaceChildren(...models.map((model) => this.#row(model)));
  }

  async use(round) {
    try {
      await server.useModel(round);
      element("train-text").textContent = `In service now: ${this.#name(round)}.`;
      this.changed();
      await this.refresh();
    } catch (error) {
      this.say(error.message, "bad");
    }
  }

  #name(round) {
    return round === null || round === undefined ? "none of these" : round === 0 ? "starting weights" : `round ${round}`;
  }

  #row(model) {
    const row = document.createElement("li");
    row.dataset.round = model.round;
    const text = document.createElement("span");
    const labels = model.labels ? `, ${model.labels.length} labels` : "";
    text.textContent = `${this.#name(model.round)}${labels}${model.reason ? ` (${model.reason})` : ""}`;
    const button = document.createElement("button");
    button.textContent = model.in_service ? "in service" : "Use";
    button.disabled = model.in_service;
    button.onclick = () => this.use(model.round);
    row.append(button, text);
    return row;
  }
}
