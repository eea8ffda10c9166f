// The frame that is open: what it is, its mask with every step, and what the model said of it.
import { server } from "./api.js";
import { History } from "./history.js";
import { Mask, packed, unpacked } from "./mask.js";

const load = (address) =>
  new Promise((resolve, reject) => {
    const picture = new Image();
    picture.onload = () => resolve(picture);
    picture.onerror = () => reject(new Error("The picture of this frame cannot be loaded. Open it again."));
    picture.src = address;
  });

// Which label of a frame is meant: when it was saved and by whom; "" for none.
export const labelStamp = ({ state, when, by }) => (["labelled", "no wall"].includes(state) ? `${when} ${by}` : "");

export class Work {
  // Fetch everything of a frame. A drawing that this browser keeps comes before the label that the server has; where that
  // label was saved after the drawing began, it comes along as `newer`.
  static async open(image, drafts) {
    const info = await server.frame(image);
    const length = info.width * info.height * info.frames;
    const fits = (kept) => kept && kept.info.width === info.width && kept.info.height === info.height && kept;
    const waiting = fits(await drafts.get("outbox", image).catch(() => null));
    const draft = fits(await drafts.get("drafts", image).catch(() => null));
    const isLabelled = Boolean(labelStamp(info));
    const label = isLabelled && !waiting ? await server.label(image) : null;
    const kept = draft || waiting;
    const mask = new Mask(info, kept ? unpacked(kept.runs, length) : label || undefined);
    const work = new Work(info, mask, await load(server.pictureUrl(image, 0)));
    work.history = new History(mask, { unsaved: Boolean(draft) });
    work.isLabelled = isLabelled || Boolean(waiting);
    work.isRestored = Boolean(draft);
    work.isWaiting = Boolean(waiting);
    if (draft) {
      work.newer = label && draft.base !== labelStamp(info) ? label : null;
      work.drawnAt = draft.drawnAt;
      work.base = draft.base;
      work.lines = draft.lines;
      work.index = draft.lines ? draft.index : 0;
    } else if (waiting) {
      work.base = waiting.base;
    }
    work.model = draft && draft.model ? { said: null, voxels: unpacked(draft.model, length) } : null;
    return work;
  }

  constructor(info, mask, picture) {
    this.info = info;
    this.mask = mask;
    this.history = new History(mask);
    this.index = 0; // of the frame of a clip
    this.lines = null; // LI and MA that are being clicked (see tools.js)
    this.base = labelStamp(info); // the label that the drawing goes on from
    this.isWaiting = false; // saved here, and the server does not have it yet
    this.newer = null; // a label that somebody saved since
    this.drawnAt = null; // seconds since 1970, of the last change
    this.pictures = [Promise.resolve(picture)];
    this.model = null; // { said, voxels }
    this.review = null; // where the model expects to be wrong, once it was asked
  }

  pixels() {
    return this.mask.frame(this.index);
  }

  picture(index = this.index) {
    this.pictures[index] = this.pictures[index] || load(server.pictureUrl(this.info.image, index));
    return this.pictures[index];
  }

  // The label that somebody saved in place of what is drawn, as one step that can be undone.
  take(label, stamp) {
    this.history.push(this.mask.edit((pixels) => pixels.set(label)));
    this.history.saved();
    this.base = stamp;
    this.isLabelled = true;
  }

  // The model's mask in place of what is drawn, as one step that can be undone.
  async run(me) {
    const { voxels, said } = await server.infer(this.info, me);
    this.model = { said, voxels };
    this.history.push(this.mask.edit((pixels) => pixels.set(voxels)));
  }

  // Whether the annotator changed anything of the model's mask.
  isEdited() {
    return !this.model || !this.model.voxels || this.model.voxels.some((value, place) => value !== this.mask.voxels[place]);
  }

  // Whether something of the annotator's would be lost: the model's mask on an open frame comes again by itself.
  isDrawn() {
    return Boolean(this.lines) || (this.history.isUnsaved() && (this.isLabelled || this.isEdited()));
  }

  // As it is kept in this browser; the model's mask goes along, to tell later what the annotator changed.
  kept() {
    const { image, name, width, height, frames, layout } = this.info;
    const model = this.model && this.model.voxels ? packed(this.model.voxels) : null;
    const { base, drawnAt, lines, index } = this;
    const runs = packed(this.mask.voxels);
    return { info: { image, name, width, height, frames, layout }, runs, model, base, drawnAt, lines, index };
  }
}
