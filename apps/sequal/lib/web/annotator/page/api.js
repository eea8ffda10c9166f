// What the page asks of the server. Every failure is an Error with words for the annotator.
import { readNrrd, writeNrrd } from "./nrrd.js";

// The model that the page is of; the server puts its name there.
export const MODEL = document.documentElement.dataset.model;

export class NoAnswer extends Error {}

// What stands before the paths of the server, where it is not at the root of its host.
const BEFORE = window.location.pathname.split("/sequal/annotate")[0];

const url = (path, query) => {
  const found = new URL(BEFORE + path, window.location.origin);
  Object.entries(query || {}).forEach(([key, value]) => found.searchParams.set(key, value));
  return found;
};

const reasonOf = async (reply) => {
  const text = await reply.text();
  try {
    const { detail } = JSON.parse(text);
    if (typeof detail === "string") {
      return detail;
    }
  } catch (error) {
    // a bare text, as an error page of a proxy is
  }
  return `The server said ${reply.status} ${reply.statusText}. ${text}`.slice(0, 500);
};

const ask = async (path, query, options) => {
  let reply;
  try {
    reply = await fetch(url(path, query), options);
  } catch (error) {
    throw new NoAnswer("The server does not answer. What you drew is kept in this browser.");
  }
  if (!reply.ok) {
    const error = new Error(await reasonOf(reply));
    error.status = reply.status;
    // A proxy says so while the server is down or starts.
    throw [502, 504].includes(reply.status) ? new NoAnswer(error.message) : error;
  }
  return reply;
};

const json = async (...request) => (await ask(...request)).json();

const post = (content) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(content),
});

// A mask as a form: `label` is a NRRD file on the grid of the image's own file.
const labelForm = async (info, voxels, params) => {
  const form = new FormData();
  form.append("params", JSON.stringify({ label_info: [{ name: "intima-media", idx: 1 }], ...params }));
  form.append("label", await writeNrrd(info, voxels), "label.nrrd");
  return form;
};

// The mask on the frame's grid, and what the model says about it.
const inferred = async (model, info, params) => {
  const form = new FormData();
  form.append("params", JSON.stringify({ result_extension: ".nrrd", result_dtype: "uint8", ...params }));
  const reply = await ask(`/infer/${model}`, { image: info.image, output: "all" }, { method: "POST", body: form });
  const parts = await reply.formData();
  const file = [...parts.values()].find((part) => part instanceof Blob && part.type !== "application/json");
  const told = parts.get("params");
  return {
    voxels: readNrrd(info, new Uint8Array(await file.arrayBuffer())),
    said: JSON.parse(typeof told === "string" ? told : await told.text()),
  };
};

export const server = {
  info: () => json("/info/"),
  frames: (query) => json("/sequal/frames", query),
  frame: (image) => json("/sequal/frame", { image }),
  pictureUrl: (image, frame) => url("/sequal/picture", { image, frame }).href,
  // Uint8Array, column fastest, then rows, then frames.
  label: async (image) => new Uint8Array(await (await ask("/sequal/label", { image })).arrayBuffer()),
  labels: () => json("/sequal/labels"),
  lease: (image, client_id) => json("/sequal/lease", { image }, post({ client_id })),
  next: (strategy, client_id) =>
    json(`/activelearning/${encodeURIComponent(strategy)}`, {}, post({ client_id, model: MODEL })),
  skip: (image, client_id, reason) => json("/sequal/skip", { image }, post({ client_id, reason })),
  unskip: (image) => json("/sequal/skip", { image }, { method: "DELETE" }),
  undoNoWall: (image) => json("/sequal/no-layer", { image }, { method: "DELETE" }),
  // What the model said when it was asked last.
  lastMeasured: (image) => json("/sequal/measurement", { image }),
  measure: async (info, voxels, signal) => {
    const body = await labelForm(info, voxels);
    return json("/sequal/measurement", { image: info.image }, { method: "POST", body, signal });
  },
  save: async (info, voxels, params) => {
    const body = await labelForm(info, voxels, params);
    return json("/datastore/label", { image: info.image }, { method: "PUT", body });
  },
  infer: (info, client_id) => inferred(MODEL, info, { client_id }),
  // The area in which the model expects its mask to be wrong: 1 in it, on the frame's grid.
  review: async (info) => (await inferred(`${MODEL}_review`, info, {})).voxels,
  train: () => json(`/train/${MODEL}`, {}, post({})),
  // The server answers 404 when nothing runs.
  isTraining: () => ask("/train/", { check_if_running: true }).then(Boolean, () => false),
  models: () => json("/sequal/models", { model: MODEL }),
  useModel: (round) => json(`/sequal/models/${round}`, { model: MODEL }, { method: "PUT" }),
};
