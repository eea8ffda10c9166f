// What this browser keeps for the annotator: name, tool, sizes, strategy. Nothing of it is needed.
export const remembered = (key) => {
  try {
    return localStorage.getItem(`sequal-${key}`);
  } catch (error) {
    return null; // storage is switched off in this browser
  }
};

export const remember = (key, value) => {
  try {
    localStorage.setItem(`sequal-${key}`, value);
  } catch (error) {
    console.debug("SEQUAL: this browser keeps no settings");
  }
};
