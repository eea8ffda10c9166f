// What the pointer does on the frame: brush, eraser, dragged curves, lines drawn by clicks; wheel and middle button move.
import { closeGaps, fillStroke } from "./brush.js";
import { dragLine, fillBetween, LINES, linesOf } from "./curves.js";
import { wall } from "./boundaries.js";
import { LAYER } from "./mask.js";
import { remember, remembered } from "./settings.js";

const NEAR_PX = 12;
const WHEEL = 1.0015;
export const TOOLS = ["brush", "eraser", "curves", "lines"];
const HINTS = {
  brush: "Paint the layer. The wheel zooms, the right button moves the picture, [ and ] change the size.",
  eraser: "Erase. [ and ] change the size.",
  curves: "Take hold of a line and drag it; the mask follows. [ and ]: how far along the wall. With Shift: the whole line.",
};
const LINE_HINTS = {
  li: "Click along LI, the border of lumen and intima. Enter: go on with MA. Escape: give up.",
  ma: "Click along MA, the border of media and adventitia. Enter: done. Escape: give up.",
};
// Sizes of the slider, as parts of a millimetre; pixels where the image has no scale.
const MM = [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.25, 1.5, 2, 2.5, 3, 4, 5];
const PX = [0.5, 1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50];
const START = { brush: 5, eraser: 6, curves: 12, lines: 5 };

export class Tools {
  // `work` is the frame that is open (see app.js), or null; `changed()` is called after every change of the mask, and
  // `keep()` after every change of lines that are no mask yet.
  constructor(view, { work, changed, keep, hint }) {
    this.view = view;
    this.work = work;
    this.changed = changed;
    this.keep = keep;
    this.hint = hint;
    this.name = TOOLS.includes(remembered("tool")) ? remembered("tool") : "brush";
    this.sizes = { ...START, ...JSON.parse(remembered("sizes") || "{}") };
    this.place = null;
    this.#listen(view.canvas);
  }

  choose(name) {
    if (this.drag) {
      return; // a stroke ends with the tool that it began with
    }
    if (this.drawn && name !== "lines") {
      // Lines that are a wall already are kept, as one step.
      this.drawn.points.ma.length > 1 ? this.finishLine() : this.giveUpLines();
    }
    this.name = name;
    remember("tool", name);
    this.refresh();
  }

  get steps() {
    return (this.work() || {}).info && !this.work().info.spacing_mm ? PX : MM;
  }

  get unit() {
    return this.steps === MM ? "mm" : "px";
  }

  // Radius of the brush, or how far along the wall a dragged line pulls; in `unit`.
  get size() {
    return this.steps[this.sizes[this.name]];
  }

  resize(step) {
    this.setSize(this.sizes[this.name] + step);
  }

  setSize(index) {
    this.sizes[this.name] = Math.max(0, Math.min(MM.length - 1, index));
    remember("sizes", JSON.stringify(this.sizes));
    this.refresh();
  }

  get spacing() {
    return this.work().info.spacing_mm || [1, 1];
  }

  // Show what the tool needs: hint, lines, ring.
  refresh() {
    const drawing = this.name === "lines" && this.work();
    this.hint(drawing ? LINE_HINTS[this.drawn ? this.drawn.line : "li"] : HINTS[this.name] || "");
    this.view.set({
      isLinesShown: this.name === "curves",
      points: this.drawn ? this.drawn.points : {},
      ring: this.#ring(),
    });
    this.changed({ onlyTools: true });
  }

  // Lines by clicks

  // { line, points, undone }: the line that is being clicked, the points of both, and those that were taken back. They
  // belong to the frame, which is kept with them.
  get drawn() {
    const work = this.work();
    return work ? work.lines : null;
  }

  set drawn(lines) {
    this.work().lines = lines;
    this.keep();
  }

  isDrawing() {
    return Boolean(this.drawn);
  }

  // Enter: LI is done, then MA, then the wall between them is drawn as one step.
  finishLine() {
    const { line, points } = this.drawn;
    if (points[line].length < 2) {
      this.hint("A line needs two points or more.");
      return;
    }
    if (line === "li") {
      this.drawn = { ...this.drawn, line: "ma", undone: [] };
      this.refresh();
      return;
    }
    this.drawn = null;
    this.#commit((pixels) => fillBetween(pixels, this.work().info.width, points));
    this.refresh();
  }

  giveUpLines() {
    this.drawn = null;
    this.preview();
    this.refresh();
  }

  // Take the last click back; false when there is none.
  undoPoint() {
    if (!this.drawn) {
      return false;
    }
    const { points, undone } = this.drawn;
    const line = points.ma.length ? "ma" : "li";
    undone.push([line, points[line].pop()]);
    this.drawn = points.li.length ? { line, points, undone } : null;
    this.preview();
    this.refresh();
    return true;
  }

  canRedoPoint() {
    return this.drawn.undone.length > 0;
  }

  // Set the click again that was taken back last.
  redoPoint() {
    if (this.canRedoPoint()) {
      const { points, undone } = this.drawn;
      const [line, point] = undone.pop();
      points[line].push(point);
      this.drawn = { line, points, undone };
      this.preview();
      this.refresh();
    }
  }

  #clickLine(place) {
    const { line, points } = this.drawn || { line: "li", points: { li: [], ma: [] } };
    points[line].push(place);
    this.drawn = { line, points, undone: [] };
    this.preview();
    this.refresh();
  }

  // The mask as it will be, while its lines are clicked.
  preview() {
    const work = this.work();
    const pixels = work.pixels().slice();
    if (this.drawn && this.drawn.points.ma.length > 1) {
      fillBetween(pixels, work.info.width, this.drawn.points);
    }
    this.view.set({ pixels, others: wall(pixels, work.info.width).others });
  }

  // Pointer

  #listen(canvas) {
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => {
      this.place = null;
      this.view.set({ ring: null });
    });
  }

  #wheel(event) {
    event.preventDefault();
    this.view.zoomAt([event.offsetX, event.offsetY], WHEEL ** -event.deltaY);
  }

  #down(event) {
    const work = this.work();
    if (!work || work.isLocked || this.drag) {
      return;
    }
    this.view.canvas.focus();
    this.view.canvas.setPointerCapture(event.pointerId);
    const at = [event.offsetX, event.offsetY];
    const place = this.view.toImage(at);
    if (event.button !== 0) {
      this.drag = { kind: "move", at };
      return;
    }
    if (this.name === "lines") {
      this.#clickLine(place);
      return;
    }
    const before = work.pixels().slice();
    this.drag = this.name === "curves" ? this.#grasp(at, place, before) : { kind: "paint", before, last: place };
    if (this.drag && this.drag.kind === "paint") {
      this.#paint(place);
    }
  }

  #move(event) {
    const at = [event.offsetX, event.offsetY];
    this.place = this.view.toImage(at);
    if (this.drag && this.drag.kind === "move") {
      this.view.move(at[0] - this.drag.at[0], at[1] - this.drag.at[1]);
      this.drag.at = at;
    } else if (this.drag && this.drag.kind === "paint") {
      // Every place that the browser knows of, also between two pictures of the screen.
      const steps = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
      (steps.length ? steps : [event]).forEach((step) => this.#paint(this.view.toImage([step.offsetX, step.offsetY])));
    } else if (this.drag && this.drag.kind === "line") {
      this.#dragLine(at, event.shiftKey);
    }
    this.view.set({ ring: this.#ring() });
  }

  #up(event) {
    const { drag } = this;
    this.drag = null;
    if (drag && drag.kind !== "move") {
      if (drag.kind === "line") {
        this.#dragLine([event.offsetX, event.offsetY], event.shiftKey, drag);
      }
      if (drag.kind === "paint" && this.name === "brush") {
        closeGaps(this.work().pixels(), drag.before, this.work().info.width, this.size / this.spacing[1]);
      }
      const after = this.work().pixels().slice();
      this.work().pixels().set(drag.before);
      this.#commit((pixels) => pixels.set(after));
    }
  }

  #paint(place) {
    const { info } = this.work();
    const value = this.name === "eraser" ? 0 : LAYER;
    fillStroke(this.work().pixels(), info.width, this.drag.last, place, this.size, this.spacing, value);
    this.drag.last = place;
    this.changed({ isInStroke: true });
  }

  // The line that is nearest to the pointer, if one is near.
  #grasp(at, place, before) {
    const { info } = this.work();
    const column = Math.round(place[0]);
    const lines = linesOf(wall(before, info.width));
    const far = (line) => Math.abs(this.view.toScreen([column, lines[line][column]])[1] - at[1]);
    const near = LINES.filter((line) => far(line) <= NEAR_PX).sort((a, b) => far(a) - far(b));
    // Where both lie close together, the side on which the pointer is tells which one is meant.
    return near.length ? { kind: "line", before, column, line: near[0], from: at } : null;
  }

  #dragLine(at, isWhole, drag = this.drag) {
    const { info } = this.work();
    const dy = (at[1] - drag.from[1]) / (this.view.scale[1] * this.view.zoom);
    const reach = isWhole ? Infinity : Math.max(2, this.size / this.spacing[0]);
    dragLine(this.work().pixels(), drag.before, info.width, { ...drag, dy, reach });
    this.changed({ isInStroke: true });
  }

  #commit(act) {
    const work = this.work();
    work.history.push(work.mask.edit(act, work.index));
    this.changed({});
  }

  #ring() {
    if (!this.place || !this.work() || !["brush", "eraser"].includes(this.name)) {
      return null;
    }
    const colour = this.name === "eraser" ? "#ff9c9c" : "#fff";
    return { place: this.place, radius: this.size, scale: this.spacing, colour };
  }
}
