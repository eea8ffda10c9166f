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

export class Work {
  // Fetch everything of a frame. A drawing that this browser keeps comes before the label that the server has.
  static async open(image, drafts) {
    const info = await server.frame(image);
    const length = info.width * info.height * info.frames;
    const fits = (kept) => kept && kept.info.width === info.width && kept.info.height === info.height && kept;
    const waiting = fits(await drafts.get("outbox", image).catch(() => null));
    const draft = fits(await drafts.get("drafts", image).catch(() => null));
    const isLabelled = ["labelled", "no wall"].includes(info.state);
    const label = isLabelled && !waiting ? await server.label(image) : null;
    const kept = draft || waiting;
    const mask = new Mask(info, kept ? unpacked(kept.runs, length) : label || undefined);
    const work = new Work(info, mask, await load(server.pictureUrl(image, 0)));
    work.history = new History(mask, { unsaved: Boolean(draft) });
    work.isLabelled = isLabelled || Boolean(waiting);
    work.isRestored = Boolean(draft);
    work.model = draft && draft.model ? { said: null, voxels: unpacked(draft.model, length) } : null;
    return work;
  }

  constructor(info, mask, picture) {
    this.info = info;
    this.mask = mask;
    this.history = new History(mask);
    this.index = 0; // of the frame of a clip
    this.pictures = [Promise.resolve(picture)];
    this.model = null; // { said, voxels }
  }

  pixels() {
    return this.mask.frame(this.index);
  }

  picture() {
    const address = server.pictureUrl(this.info.image, this.index);
    this.pictures[this.index] = this.pictures[this.index] || load(address);
    return this.pictures[this.index];
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
    return this.history.isUnsaved() && (this.isLabelled || this.isEdited());
  }

  // As it is kept in this browser; the model's mask goes along, to tell later what the annotator changed.
  kept() {
    const { image, name, width, height, frames, layout } = this.info;
    const model = this.model && this.model.voxels ? packed(this.model.voxels) : null;
    return { info: { image, name, width, height, frames, layout }, runs: packed(this.mask.voxels), model };
  }
}
