// Every key, in one list: what it does, and what the list says of it.
import { ask, isAsking } from "./dialog.js";

const SHOWN = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Plus: "+" };

const shown = (key) =>
  key
    .split("+")
    .map((part) => SHOWN[part] || part)
    .join(" + ");

// "Ctrl+Shift+Z" from an event; Shift counts only with a letter or an arrow, since "?" is typed in other ways elsewhere.
const named = (event) => {
  const key = event.key === "+" ? "Plus" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const isShifted = /^([A-Z]|Arrow.+)$/.test(key);
  return [
    event.ctrlKey || event.metaKey ? "Ctrl" : "",
    event.shiftKey && isShifted ? "Shift" : "",
    key,
  ]
    .filter(Boolean)
    .join("+");
};

const isTyping = ({ tagName, type }) =>
  tagName === "TEXTAREA" || (tagName === "INPUT" && ["text", "search"].includes(type)) || tagName === "SELECT";

// Not the browser's own "save this page", wherever the focus is.
const isSaving = (event) => named(event) === "Ctrl+S";

// `keys`: [[["Ctrl+Z"], "Undo", () => …], …]
export const listen = (keys) => {
  const acts = new Map(keys.flatMap(([names, , act]) => names.map((name) => [name, act])));
  document.addEventListener("keydown", (event) => {
    const act = acts.get(named(event));
    const isPressing = event.key === "Enter" && event.target.closest("button, a, summary, #list li");
    if (!act || isAsking() || (isTyping(event.target) && !isSaving(event)) || isPressing || event.altKey) {
      return;
    }
    event.preventDefault();
    act();
  });
  // A list keeps every key for itself until it is left.
  document.addEventListener("change", ({ target }) => target.tagName === "SELECT" && target.blur());
  // A focused button would take Enter and space for itself.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button && !isAsking()) {
      button.blur();
    }
  });
};

export const showKeys = (keys) => {
  const table = document.createElement("table");
  const pointer = [
    [["wheel"], "Zoom where the pointer is"],
    [["right or middle button"], "Move the picture"],
    [["Shift while dragging a curve"], "Move the whole line"],
  ];
  [...keys, ...pointer].forEach(([names, what]) => {
    const row = table.insertRow();
    const cell = row.insertCell();
    names.forEach((name) => {
      const key = document.createElement("kbd");
      key.textContent = shown(name);
      cell.append(key, " ");
    });
    row.insertCell().textContent = what;
  });
  return ask({ title: "Keys", parts: [table], answers: [["close", "Close"]] });
};
