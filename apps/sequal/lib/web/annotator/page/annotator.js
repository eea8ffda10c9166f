// Who draws: a name that is asked for once, so that frames stay his in every session.
import { ask } from "./dialog.js";
import { remember, remembered } from "./settings.js";

let name = null;

export const me = () => name;

export const askName = async () => {
  for (;;) {
    const { text } = await ask({
      title: "Who are you?",
      text: "Frames that you are asked for are kept for this name, in every browser, and your labels carry it.",
      field: { value: name || remembered("annotator") || "", placeholder: "Name or initials", longest: 60 },
      answers: [["ok", "That is me"]],
    });
    if (text) {
      name = text;
      remember("annotator", text);
      return;
    }
  }
};

export const knowName = async () => {
  name = remembered("annotator");
  if (!name) {
    await askName();
  }
};
