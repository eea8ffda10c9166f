// The list of frames: labelled, no wall, skipped, open, by whom; a click opens one.
import { server } from "./api.js";
import { clockOf } from "./words.js";

const PAGE = 100;
const element = (id) => document.getElementById(id);

const chip = (state) => {
  const made = document.createElement("span");
  made.className = "chip";
  made.dataset.state = state;
  made.textContent = state;
  return made;
};

export class FrameList {
  // `open(image)` is called for a click; `drafts` knows what is drawn here and not saved; `me()` is the annotator.
  constructor({ open, drafts, me }) {
    this.open = open;
    this.drafts = drafts;
    this.me = me;
    this.study = "";
    this.current = null;
    element("list-group").onchange = () => this.#again();
    element("list-search").oninput = () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.#again(), 250);
    };
    element("list-more").onclick = () => this.#again({ more: true });
  }

  #again(options) {
    this.refresh(options).catch((error) => {
      element("list-count").textContent = error.message;
    });
  }

  // List the frames of one DICOM study; all for "".
  async only(study) {
    if (study !== this.study) {
      this.study = study;
      await this.refresh();
    }
  }

  async refresh({ more = false } = {}) {
    const query = {
      group: element("list-group").value,
      search: element("list-search").value,
      ...(this.study ? { study: this.study } : {}),
    };
    const rows = element("list");
    const offset = more ? rows.children.length : 0;
    // As many as are shown now, so that the list does not jump.
    const limit = more ? PAGE : Math.min(500, Math.max(PAGE, rows.children.length));
    const { frames, found, counts } = await server.frames({ ...query, offset, limit });
    const drawn = new Set((await this.drafts.all("drafts").catch(() => [])).map(({ image }) => image));
    const made = frames.map((frame) => this.#row(frame, drawn.has(frame.image)));
    if (more) {
      rows.append(...made);
    } else {
      rows.replaceChildren(...made);
    }
    element("list-more").hidden = rows.children.length >= found;
    const total = counts.open + counts.labelled + counts.skipped;
    const skipped = counts.skipped ? `, ${counts.skipped} skipped` : "";
    element("list-count").textContent = `${counts.labelled} of ${total} labelled${skipped}`;
    this.mark(this.current);
  }

  // Show which frame is open. Another one comes into sight; else the list stays where the annotator scrolled it.
  mark(image) {
    const isOther = image !== this.current;
    this.current = image;
    [...element("list").children].forEach((row) => {
      const isOpen = row.dataset.image === image;
      row.setAttribute("aria-current", String(isOpen));
      if (isOpen && isOther) {
        row.scrollIntoView({ block: "nearest" });
      }
    });
  }

  #row(frame, isDrawn) {
    const row = document.createElement("li");
    row.dataset.image = frame.image;
    row.dataset.state = frame.state;
    const name = document.createElement("span");
    name.className = "name";
    name.textContent = frame.name;
    name.title = frame.image;
    const by = document.createElement("span");
    by.className = "by";
    const other = frame.open_with && frame.open_with !== this.me() ? `open with ${frame.open_with}` : "";
    by.textContent = [
      isDrawn ? "drawn here, not saved" : "",
      frame.by ? `by ${frame.by}` : "",
      clockOf(frame.when),
      frame.why || "",
      other,
    ]
      .filter(Boolean)
      .join(" · ");
    row.append(name, chip(frame.state), ...(by.textContent ? [by] : []));
    row.tabIndex = 0;
    row.onclick = () => this.open(frame.image);
    row.onkeydown = ({ key }) => key === "Enter" && this.open(frame.image);
    return row;
  }
}
