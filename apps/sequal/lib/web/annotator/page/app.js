// The page: opens frames, saves labels, and wires the parts together.
import { server } from "./api.js";
import { askName, knowName, me } from "./annotator.js";
import { wall } from "./boundaries.js";
import { linesOf } from "./curves.js";
import { ask } from "./dialog.js";
import { Drafts } from "./drafts.js";
import { listen, showKeys } from "./keys.js";
import { FrameList } from "./list.js";
import { Numbers } from "./numbers.js";
import { Outbox } from "./outbox.js";
import { saveLabel, sayNoWall, skipFrame, TakeBack } from "./answers.js";
import { settle } from "./newer.js";
import { Review } from "./review.js";
import { remember, remembered } from "./settings.js";
import { Tools, TOOLS } from "./tools.js";
import { Training } from "./training.js";
import { View } from "./view.js";
import { Work } from "./work.js";
import { choiceOf, whyOf } from "./words.js";

const element = (id) => document.getElementById(id);
const AUTO_RUN = "auto-run";
// By keyboard: how much nearer, and by which part of the screen.
const ZOOM_STEP = 1.25;
const MOVE_STEP = 0.1;
const page = { work: null, isBusy: false };
// For tests and for the curious: the frame that is open.
window.sequal = page;

// `stays` is for words that name their frame: the others go when another frame opens.
const say = (text, kind = "", stays = false) => {
  element("message").textContent = text;
  element("message").className = kind;
  page.isSaidOfFrame = !stays;
};

// Half a stroke, or half a wall, is neither saved nor left nor taken along to another frame.
const isHalfDrawn = () => {
  if (tools.isDrawing()) {
    say("Finish the lines with Enter, or give them up with Escape.", "bad");
  }
  return Boolean(tools.drag) || tools.isDrawing();
};

// One thing at a time; what goes wrong is said.
const alone = (act) => async () => {
  if (page.isBusy || isHalfDrawn()) {
    return;
  }
  page.isBusy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    await act();
  } catch (error) {
    say(error.message, "bad");
  }
  page.isBusy = false;
  document.body.removeAttribute("aria-busy");
};

const view = new View(element("canvas"));
page.view = view;
const numbers = new Numbers();

// What the screen shows follows the mask.

let isDue = false;
const changed = ({ onlyTools = false, isInStroke = false } = {}) => {
  showTools();
  if (!page.work || onlyTools) {
    return;
  }
  if (!isInStroke) {
    keep();
  }
  if (!isInStroke || page.work.info.frames === 1) {
    numbers.changed(); // of a clip, every frame goes along: once a stroke is enough
  }
  if (!isDue) {
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      showMask();
    });
  }
};

const tools = new Tools(view, {
  work: () => page.work,
  changed,
  keep: () => keep(),
  hint: (text) => (element("hint").textContent = text),
});

page.tools = tools;

const review = new Review(view, { work: () => page.work, say });

const showMask = () => {
  const { work } = page;
  if (!work || tools.isDrawing()) {
    return;
  }
  const pixels = work.pixels();
  const found = wall(pixels, work.info.width);
  view.set({ pixels, others: found.others, lines: linesOf(found) });
  element("tidy").hidden = !found.others.length;
  page.others = found.others;
};

const showTools = () => {
  const { work } = page;
  document.querySelectorAll("[data-tool]").forEach((button) => {
    button.classList.toggle("chosen", button.dataset.tool === tools.name);
  });
  element("size").value = tools.sizes[tools.name];
  element("size-text").textContent = `${tools.size} ${tools.unit}`;
  element("size-label").style.visibility = tools.name === "lines" ? "hidden" : ""; // the buttons beside it stay
  element("undo").disabled = !(work && (work.history.canUndo() || tools.isDrawing()));
  element("redo").disabled = !(work && (tools.isDrawing() ? tools.canRedoPoint() : work.history.canRedo()));
  const isUnsaved = Boolean(work && (work.lines || work.history.isUnsaved()));
  document.title = `${isUnsaved ? "* " : ""}${work ? work.info.name : "SEQUAL"}`;
  const state = work && (isUnsaved ? "not saved" : work.isWaiting ? "not sent yet" : work.info.state);
  element("frame-state").textContent = state || "";
  element("frame-state").dataset.state = element("frame-state").textContent;
};

const showFrame = async () => {
  const { work } = page;
  const picture = await work.picture();
  if (work !== page.work) {
    return;
  }
  element("frame-name").textContent = work.info.name;
  element("film").hidden = work.info.frames < 2;
  element("film-place").max = work.info.frames - 1;
  element("film-place").value = work.index;
  element("film-text").textContent = `${work.index + 1} of ${work.info.frames}`;
  if (view.info === work.info) {
    view.turn(picture);
  } else {
    view.show(work.info, picture);
  }
  tools.refresh();
  if (tools.isDrawing()) {
    tools.preview();
  } else {
    showMask();
  }
  review.refresh();
};

// What is drawn and not saved stays in this browser until it is saved or undone.
const keep = () => {
  const { work } = page;
  work.drawnAt = Date.now() / 1000;
  const done = work.isDrawn()
    ? drafts.put("drafts", work.info.image, work.kept())
    : drafts.drop("drafts", work.info.image);
  page.kept = done.catch((error) => say(`This browser cannot keep your drawing: ${error.message}`, "bad"));
};

// Opening

const mayLeave = async () => {
  const { work } = page;
  if (!work || !work.isDrawn()) {
    return true;
  }
  const answer = await ask({
    title: `${work.info.name} is not saved`,
    text: "Your drawing stays in this browser until you come back to this frame.",
    answers: [
      ["save", "Save it"],
      ["leave", "Leave it unsaved"],
      ["stay", "Stay here"],
    ],
  });
  return answer === "leave" || (answer === "save" && (await saveLabel(page, { say, changed, drafts, outbox })));
};

const open = async (image, why = "") => {
  if (!(await mayLeave())) {
    return;
  }
  // What is on the screen stays there until the other frame has come.
  const before = page.work;
  let work;
  try {
    if (before) {
      before.isLocked = true;
    }
    work = await Work.open(image, drafts);
  } finally {
    if (before) {
      before.isLocked = false;
    }
  }
  page.work = work;
  if (page.isSaidOfFrame) {
    say("");
  }
  page.isSaidOfFrame = true; // the next frame takes every word away
  remember("why", JSON.stringify({ image, why }));
  element("frame-why").textContent = why;
  window.history.replaceState(null, "", `?image=${encodeURIComponent(image)}`);
  numbers.clear(work);
  list.mark(image);
  if (work.lines) {
    tools.choose("lines");
  }
  await showFrame();
  takeBack.refresh();
  const isOpen = work.info.state === "open";
  const isForModel = element(AUTO_RUN).checked && isOpen && !work.isLabelled && !work.isRestored;
  if (!isForModel) {
    numbers.changed(); // else what the model draws is measured
  }
  const lease = isOpen ? await server.lease(image, me()).catch(() => ({ held: true })) : { held: true };
  const chosen = work.newer ? await settle(work, work.newer, work.info, { say, changed }) : null;
  if (chosen === "theirs") {
    page.isSaidOfFrame = true;
  } else if (!lease.held) {
    say(`${lease.open_with} has this frame open as well. You are asked before your label replaces theirs.`, "bad");
  } else if (work.isRestored) {
    say("Your drawing of last time is here again. It is not saved yet.", "bad");
  } else if (work.info.notes.length) {
    say(`This image: ${work.info.notes.join("; ")}.`);
  }
  if (isForModel) {
    await run();
  } else {
    await page.lastModel(work);
  }
  view.canvas.focus();
};

// What the model said when it was asked last, for a frame that is looked at again.
page.lastModel = async (work) => {
  const said = await server.lastMeasured(work.info.image).catch(() => null);
  if (said && work === page.work) {
    work.model = { voxels: null, ...work.model, said };
    numbers.model();
  }
};

const run = async () => {
  const { work } = page;
  if (!work || tools.drag) {
    return;
  }
  element("run").disabled = true;
  element("hint").textContent = "The model is looking at this frame.";
  work.isLocked = true; // no stroke begins before its mask is there
  try {
    await work.run(me());
  } finally {
    work.isLocked = false;
    element("run").disabled = false;
  }
  if (work === page.work) {
    tools.refresh();
    numbers.model();
    changed();
    review.forget();
  }
};

// A frame that was answered and has no successor leaves an empty page.
const showNothing = () => {
  if (!page.work) {
    ["frame-name", "frame-why"].forEach((id) => (element(id).textContent = ""));
    numbers.clear(null);
    view.clear();
    showTools();
  }
};

const next = async () => {
  if (!(await mayLeave())) {
    return;
  }
  const strategy = element("strategy").value;
  const sample = await server.next(strategy, me());
  if (!sample.id) {
    say("No frame is left: all are labelled or skipped, or other annotators have them open.", "good");
    showNothing();
    return;
  }
  await list.only("");
  await open(sample.id, whyOf(strategy, sample.reason));
};

const parts = { say, next, changed, refreshList: () => list.refresh().catch(() => {}) };

const save = async () => {
  const done = await saveLabel(page, { say, changed, drafts, outbox });
  afterAnswer();
  return done;
};

const afterAnswer = () => {
  changed({ onlyTools: true });
  takeBack.refresh();
  parts.refreshList();
  training.refresh().catch(() => {});
};

const saveNext = async () => {
  const { work } = page;
  if (!work) {
    await next();
  } else if (!work.history.isUnsaved() && work.isLabelled) {
    await next(); // as it was saved before
  } else if ((await save()) === "well") {
    await next();
  }
};

const turnPage = async (index) => {
  const { work } = page;
  if (work && index >= 0 && index < work.info.frames && index !== work.index && !isHalfDrawn()) {
    work.index = index;
    await showFrame();
    numbers.model();
    numbers.changed();
  }
};

const canStep = () => page.work && !page.work.isLocked && !tools.drag;
// Of a clip, the frame in which something changes is shown.
const stepped = (change) => {
  const { mask, index } = page.work;
  const frames = change ? [change.places[0], change.places.at(-1)].map((place) => Math.floor(place / mask.size)) : [];
  if (change) {
    changed();
  }
  if (change && frames[0] === frames[1] && frames[0] !== index) {
    turnPage(frames[0]);
  }
};
const undo = () => tools.undoPoint() || (canStep() && stepped(page.work.history.undo()));
const redo = () => (tools.isDrawing() ? tools.redoPoint() : canStep() && stepped(page.work.history.redo()));
const enter = () => {
  if (!tools.isDrawing()) {
    return alone(saveNext)();
  }
  say("");
  return tools.finishLine();
};
const tidy = () => {
  const { work } = page;
  if (!canStep()) {
    return;
  }
  const others = page.others || [];
  work.history.push(work.mask.edit((pixels) => others.forEach((place) => (pixels[place] = 0)), work.index));
  changed();
};

const answered = (act) => alone(async () => {
  if (page.work && (await act(page, { say, changed, drafts, outbox, takeBack }))) {
    page.work = null;
    showNothing();
    afterAnswer();
    await next();
  }
});
const noWall = answered(sayNoWall);
const skip = answered(skipFrame);

// Keys and buttons

const KEYS = [
  [["Enter"], "Save and next; while lines are drawn: the line is done", enter],
  [["Ctrl+S"], "Save", alone(save)],
  [["N"], "Next frame without saving", alone(next)],
  [["R"], "Run the model", alone(run)],
  [["W"], "No wall in this frame", noWall],
  [["K"], "Skip: this frame is not usable", skip],
  [["Ctrl+Z"], "Undo", undo],
  [["Ctrl+Shift+Z", "Ctrl+Y"], "Redo", redo],
  [["B"], "Brush", () => tools.choose("brush")],
  [["E"], "Eraser", () => tools.choose("eraser")],
  [["C"], "Curves: drag LI and MA", () => tools.choose("curves")],
  [["L"], "Draw lines: LI, then MA, by clicks", () => tools.choose("lines")],
  [["["], "Smaller tool", () => tools.resize(-1)],
  [["]"], "Larger tool", () => tools.resize(1)],
  [["Escape"], "Give up the lines that are being drawn", () => tools.isDrawing() && tools.giveUpLines()],
  [["V"], "Show or hide where the model expects its mask to be wrong", () => review.toggle()],
  [["H"], "Hide or show the mask", () => { view.hidden = !view.hidden; view.draw(); }],
  [["Plus", "="], "Zoom in", () => view.zoomBy(ZOOM_STEP)],
  [["-"], "Zoom out", () => view.zoomBy(1 / ZOOM_STEP)],
  [["Shift+ArrowLeft"], "Look further left", () => view.moveBy(MOVE_STEP, 0)],
  [["Shift+ArrowRight"], "Look further right", () => view.moveBy(-MOVE_STEP, 0)],
  [["Shift+ArrowUp"], "Look further up", () => view.moveBy(0, MOVE_STEP)],
  [["Shift+ArrowDown"], "Look further down", () => view.moveBy(0, -MOVE_STEP)],
  [["0"], "Show the whole frame", () => view.fit()],
  [["ArrowLeft"], "Clip: frame before", () => page.work && turnPage(page.work.index - 1)],
  [["ArrowRight"], "Clip: next frame", () => page.work && turnPage(page.work.index + 1)],
  [["?"], "This list", () => showKeys(KEYS)],
];

const wire = () => {
  listen(KEYS);
  TOOLS.forEach((name) => (document.querySelector(`[data-tool=${name}]`).onclick = () => tools.choose(name)));
  const clicks = {
    undo, redo, tidy, run: alone(run), fit: () => view.fit(), help: () => showKeys(KEYS),
    "take-back": alone(() => takeBack.take()), save: alone(save), "save-next": alone(saveNext), next: alone(next), "no-wall": noWall, skip,
    "film-back": () => turnPage(page.work.index - 1), "film-on": () => turnPage(page.work.index + 1),
    who: alone(async () => { await askName(); showName(); }),
  };
  Object.entries(clicks).forEach(([id, act]) => (element(id).onclick = act));
  element("size").oninput = () => tools.setSize(Number(element("size").value));
  element("bright").oninput = () => view.brighten(element("bright").value / 100);
  element("film-place").oninput = () => turnPage(Number(element("film-place").value));
  element(AUTO_RUN).checked = remembered(AUTO_RUN) !== "no";
  element(AUTO_RUN).onchange = () => remember(AUTO_RUN, element(AUTO_RUN).checked ? "yes" : "no");
  element("strategy").onchange = () => remember("strategy", element("strategy").value);
  window.addEventListener("beforeunload", (event) => {
    if (tools.isDrawing() || (page.work && page.work.isDrawn())) {
      event.preventDefault();
    }
  });
};

const showName = () => (element("who").textContent = me());

// Starting

let drafts, outbox, list, training, takeBack;

const start = async () => {
  wire();
  await knowName();
  showName();
  const asked = new URLSearchParams(window.location.search);
  const uid = asked.get("study") || "";
  const known = await server.frames({ limit: 1 });
  drafts = new Drafts(known.study, me);
  outbox = new Outbox(drafts, {
    waiting: (count) => {
      element("waiting").textContent = count ? `${count} not sent yet; sent again when the server answers` : "";
      element("waiting").className = "bad";
      parts.refreshList();
    },
    sent: (image, stamp, name) => {
      if (page.work && page.work.info.image === image) {
        page.work.base = stamp;
        page.work.isWaiting = false;
        changed({ onlyTools: true });
      }
      say(`The server answers again. Saved: ${name}.`, "good", true);
      numbers.changed();
      training.refresh().catch(() => {});
    },
    refused: (image, error) => {
      say(error, "bad", true);
      if (page.work && page.work.info.image === image) {
        page.work.isWaiting = false;
        page.work.history.saved(null); // no step of it is
        changed({ onlyTools: true });
      }
    },
  });
  list = new FrameList({ open: (image) => alone(() => open(image))(), drafts, me });
  training = new Training({
    changed: () => {
      say("Another model is in service. Press R to ask it about this frame.");
      review.forget();
    },
    say,
  });
  takeBack = new TakeBack(page, { say, open: (image) => open(image), refresh: afterAnswer });
  const { strategies } = await server.info();
  element("strategy").replaceChildren(...Object.keys(strategies).map((name) => new Option(choiceOf(name), name)));
  const strategy = remembered("strategy");
  element("strategy").value = strategy in strategies ? strategy : Object.keys(strategies)[0];
  outbox.send().catch(() => {});
  await list.refresh();
  training.join().catch((error) => console.error(error));
  setInterval(() => page.work && page.work.info.state === "open" && server.lease(page.work.info.image, me()).catch(() => {}), 5 * 60_000);
  await openFirst(asked.get("image"), uid);
};

// The frame that the address names; else the one that is kept for this annotator; else the next one.
const openFirst = async (image, uid) => {
  const why = JSON.parse(remembered("why") || "{}");
  if (image) {
    await open(image, why.image === image ? why.why : "");
    return;
  }
  const query = uid ? { study: uid } : { holder: me(), group: "open" };
  const { frames } = await server.frames({ ...query, limit: 50 });
  if (uid && frames.length > 1) {
    await list.only(uid); // until the next frame, which may be another study's
  }
  const isOpen = ({ state }) => state === "open";
  const last = frames.find((frame) => frame.image === why.image && isOpen(frame));
  const wanted = last || frames.find(isOpen) || (uid && frames[0]);
  await (wanted ? open(wanted.image, why.image === wanted.image ? why.why : "") : next());
};

alone(start)();
