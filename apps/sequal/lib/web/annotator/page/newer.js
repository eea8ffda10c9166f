// A label that somebody saved while a drawing was not saved: both are shown, and the annotator chooses.
import { me } from "./annotator.js";
import { server } from "./api.js";
import { wall } from "./boundaries.js";
import { ask } from "./dialog.js";
import { LAYER } from "./mask.js";
import { paintMask } from "./overlay.js";
import { clockOf, meanOf } from "./words.js";
import { labelStamp } from "./work.js";

const WIDEST_PX = 340;
const MARGIN = 0.3; // of what is drawn, around it
const LEAST_PX = 60;

// The part of a frame that both masks need: [left, top, width, height] in pixels.
const partOf = ({ width, height }, masks) => {
  const places = [...masks[0].keys()].filter((place) => masks.some((mask) => mask[place] === LAYER));
  const range = (values, most) => {
    const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [0, most];
    const margin = Math.max(LEAST_PX, MARGIN * (high - low));
    const from = Math.max(0, Math.floor(low - margin));
    return [from, Math.min(most, Math.ceil(high + margin)) - from];
  };
  const [left, wide] = range([...new Set(places.map((place) => place % width))], width);
  const [top, high] = range([...new Set(places.map((place) => Math.floor(place / width)))], height);
  return [left, top, wide, high];
};

// Part of a frame with a mask on it, and words below.
const preview = (work, picture, pixels, [left, top, wide, high], words) => {
  const { info } = work;
  const [dx, dy] = info.spacing_mm || [1, 1];
  const canvas = document.createElement("canvas");
  canvas.width = WIDEST_PX;
  canvas.height = Math.round((WIDEST_PX * high * dy) / (wide * dx));
  const overlay = document.createElement("canvas");
  [overlay.width, overlay.height] = [info.width, info.height];
  paintMask(overlay, pixels, wall(pixels, info.width).others);
  const context = canvas.getContext("2d");
  [picture, overlay].forEach((layer) =>
    context.drawImage(layer, left, top, wide, high, 0, 0, canvas.width, canvas.height)
  );
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = words;
  figure.append(canvas, caption);
  return figure;
};

const thicknessOf = async (work, voxels, index) => {
  const found = await server.measure(work.info, voxels).catch(() => null);
  const imt = found && (found.imt_frames ? found.imt_frames[index] : found.imt);
  return imt && imt.columns ? `, mean ${meanOf(imt)}` : "";
};

// Show both and ask. `row` is what the server says of the label. "mine", "theirs", or null for no answer.
const choose = async (work, label, row) => {
  const differs = work.mask.voxels.findIndex((value, place) => value !== label[place]);
  const index = Math.max(0, Math.floor(differs / work.mask.size));
  const who = row.by === me() ? "you" : row.by || "somebody";
  const drawn = work.drawnAt ? ` of ${clockOf(work.drawnAt)}` : "";
  const saved = clockOf(row.when);
  const text =
    work.drawnAt < row.when
      ? `Your drawing${drawn} is older than the label that ${who} saved at ${saved}.`
      : `While you had this frame open, ${who} saved another label of it at ${saved}.`;
  const pair = document.createElement("div");
  pair.className = "pair";
  const picture = await work.picture(index);
  const both = [work.mask.voxels, label];
  const pixels = both.map((voxels) => voxels.subarray(index * work.mask.size, (index + 1) * work.mask.size));
  const thickness = await Promise.all(both.map((voxels) => thicknessOf(work, voxels, index)));
  const part = partOf(work.info, pixels);
  const words = [`Your drawing${drawn}`, `Saved by ${who} at ${saved}`];
  pair.append(...pixels.map((one, i) => preview(work, picture, one, part, `${words[i]}${thickness[i]}`)));
  return ask({
    title: `Two labels of ${work.info.name}`,
    text: `${text} Undo brings your drawing back; the server keeps a copy of a label that is replaced.`,
    parts: [pair],
    answers: [
      ["mine", "Keep mine"],
      ["theirs", "Take theirs"],
    ],
  });
};

// Let the annotator choose between what is drawn and a label that was saved since. "mine", "theirs" or null.
export const settle = async (work, label, row, { say, changed }) => {
  const answer = await choose(work, label, row);
  if (answer === "mine") {
    work.base = labelStamp(row);
  } else if (answer === "theirs") {
    work.take(label, labelStamp(row));
    Object.assign(work.info, row);
    say("The saved label is open. Undo (Ctrl+Z) brings your drawing back.", "good");
  }
  if (answer) {
    changed();
  }
  return answer;
};

// Whether a label may take the place of the one that the server has: it may, unless that one was saved by somebody since
// this frame was opened and the annotator takes it. True too while the server does not answer.
export const mayReplace = async (work, parts) => {
  const row = await server.frame(work.info.image).catch(() => null);
  const stamp = row ? labelStamp(row) : "";
  if (!stamp || stamp === work.base) {
    return true;
  }
  parts.say("Not saved.", "bad");
  return (await settle(work, await server.label(work.info.image), row, parts)) === "mine";
};
