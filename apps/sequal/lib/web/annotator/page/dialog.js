// One question at a time, over the page.
const element = document.getElementById("dialog");

const make = (tag, content, more = {}) => Object.assign(document.createElement(tag), { textContent: content, ...more });

// Ask, and wait for one of `answers` ([[value, text], …], the first is what Enter means); null for Escape.
// With `field`, the answer is { answer, text }.
export const ask = ({ title, text, answers, field, parts = [] }) =>
  new Promise((resolve) => {
    const input = field && make("input", "", { type: "text", maxLength: field.longest || 200, value: field.value || "" });
    if (input) {
      input.placeholder = field.placeholder || "";
    }
    const buttons = make("div", "", { className: "buttons" });
    const close = (answer) => {
      element.close();
      element.replaceChildren();
      resolve(field ? { answer, text: input.value.trim() } : answer);
    };
    answers.forEach(([value, label], i) => {
      const button = make("button", label, { type: "button", className: i ? "" : "chosen", onclick: () => close(value) });
      button.dataset.answer = value;
      buttons.append(button);
    });
    element.replaceChildren(make("h2", title), make("p", text || ""), ...parts, ...(input ? [input] : []), buttons);
    element.oncancel = (event) => {
      event.preventDefault();
      close(null);
    };
    element.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && event.target === input) {
        event.preventDefault();
        close(answers[0][0]);
      }
    };
    element.showModal();
    (input || buttons.firstChild).focus({ preventScroll: true });
    element.scrollTop = 0; // a long list is read from its first line
  });

export const isAsking = () => element.open;
