// What an annotator answers for a frame: a label, "no wall", "skip"; and how the last two are taken back.
import { NoAnswer, server } from "./api.js";
import { me } from "./annotator.js";
import { ask } from "./dialog.js";
import { mayReplace } from "./newer.js";
import { labelStamp } from "./work.js";

// Send a label, or keep it here until the server answers. Returns the server's reply, null when it waits.
const deliver = async (work, voxels, params, { drafts, outbox }) => {
  const kept = work.kept();
  const state = work.history.now();
  let reply = null;
  try {
    reply = await outbox.alone(async () => {
      const answer = await server.save(work.info, voxels, params);
      await drafts.drop("outbox", work.info.image); // an older one that waited
      work.base = labelStamp(await server.frame(work.info.image));
      return answer;
    });
  } catch (error) {
    if (!(error instanceof NoAnswer)) {
      throw new Error(`Not saved. ${error.message}`);
    }
    const runs = voxels === work.mask.voxels ? kept.runs : [0, voxels.length];
    await outbox.post({ ...kept, runs, params });
  }
  work.history.saved(state);
  work.isLabelled = true;
  if (!work.history.isUnsaved()) {
    await drafts.drop("drafts", work.info.image);
  }
  return reply;
};

const toldBy = (reply) => {
  const warnings = (reply.warnings || []).join(" ");
  if (reply.pacs === "waiting") {
    return ["Saved at the server, which sends it to the PACS later.", reply.reason, warnings];
  }
  if (reply.pacs === "kept here") {
    return ["Saved at the server, and used there. The PACS cannot have it.", reply.reason, warnings];
  }
  return warnings ? ["Saved, but look again.", warnings] : [];
};

// Save what is drawn. Returns "well", "with a word" when there is something to read first, or false when nothing was saved.
export const saveLabel = async (page, { say, changed, drafts, outbox }) => {
  const { work } = page;
  if (!work) {
    return false;
  }
  if (work.mask.isEmpty()) {
    say("Nothing is drawn. Press W if this frame shows no wall, K if it is not usable.", "bad");
    return false;
  }
  say("Saving.");
  if (!(await mayReplace(work, { say, changed }))) {
    return false;
  }
  const params = { client_id: me(), edited: work.isEdited() };
  const reply = await deliver(work, work.mask.voxels, params, { drafts, outbox });
  work.info.state = "labelled";
  work.isWaiting = !reply;
  const words = reply ? toldBy(reply).filter(Boolean) : [];
  say(words.length ? `${words.join(" ")} Enter opens the next frame.` : reply ? `Saved: ${work.info.name}.` : "Kept in this browser for now.",
    words.length || !reply ? "bad" : "good", !words.length && Boolean(reply));
  return words.length ? "with a word" : "well";
};

const isSure = async (work, title, text) => {
  const lost = work.history.isUnsaved() && !work.mask.isEmpty() ? " What is drawn on it is removed." : "";
  return ask({
    title,
    text: `${text}${lost}`,
    field: { placeholder: "Reason (optional)" },
    answers: [
      ["yes", title],
      ["no", "Cancel"],
    ],
  });
};

export const sayNoWall = async (page, { say, changed, drafts, outbox, takeBack }) => {
  const { work } = page;
  const { answer, text } = await isSure(work, "No wall in this frame", "The model learns from this, too.");
  if (answer !== "yes" || !(await mayReplace(work, { say, changed }))) {
    return false;
  }
  const params = { client_id: me(), edited: true, ...(text ? { reason: text } : {}) };
  await deliver(work, new Uint8Array(work.mask.voxels.length), params, { drafts, outbox });
  takeBack.remember(work.info, "no wall");
  say(`${work.info.name}: no wall.`, "good", true);
  return true;
};

export const skipFrame = async (page, { say, drafts, takeBack }) => {
  const { work } = page;
  const { answer, text } = await isSure(work, "Skip this frame", "Nobody is asked for it, until you take this back.");
  if (answer !== "yes") {
    return false;
  }
  await server.skip(work.info.image, me(), text);
  work.history.saved();
  await drafts.drop("drafts", work.info.image);
  takeBack.remember(work.info, "skipped");
  say(`${work.info.name}: skipped.`, "good", true);
  return true;
};

// The button that takes "no wall" or "skip" back: of the frame that is open, else of the one answered last.
export class TakeBack {
  constructor(page, { say, open, refresh }) {
    this.page = page;
    this.last = null;
    this.button = document.getElementById("take-back");
    this.parts = { say, open, refresh };
  }

  async take() {
    const { image, name, state } = this.wanted();
    await (state === "skipped" ? server.unskip(image) : server.undoNoWall(image));
    this.last = null;
    this.parts.say(`${name} is open again.`, "good", true);
    await this.parts.open(image);
    this.parts.refresh();
  }

  remember({ image, name }, state) {
    this.last = { image, name, state };
  }

  wanted() {
    const { work } = this.page;
    return work && ["skipped", "no wall"].includes(work.info.state) ? work.info : this.last;
  }

  refresh() {
    const wanted = this.wanted();
    this.button.hidden = !wanted;
    this.button.textContent = wanted ? `Take back: ${wanted.state}, ${wanted.name}` : "";
  }
}
