// Numbers and reasons in words.
const FLAGS = {
  several_pieces: "something lies beside the wall",
  outside_region: "part of the wall lies outside the region that has a scale",
  not_calibrated: "the image has no scale, so lengths are in pixels",
  short_length: "measured along less than 10 mm",
  possible_plaque: "thicker than 1.5 mm: possible plaque",
};

const length = (imt, name) => {
  const unit = imt.calibrated ? "mm" : "px";
  const value = imt[`${name}_${unit}`];
  return typeof value === "number" ? `${value.toFixed(imt.calibrated ? 2 : 1)} ${unit}` : "–";
};

export const meanOf = (imt) => length(imt, "mean");
export const maxOf = (imt) => length(imt, "max");

// What to know before using a thickness, in a sentence; empty when there is nothing.
export const flagsOf = (imt) => {
  const found = (imt.flags || []).map((flag) => FLAGS[flag]).filter(Boolean);
  const text = found.join("; ");
  return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
};

// How sure the model is of its own mask; the flags stand with what is drawn. Where it found nothing there is no
// confidence: a missed wall and a frame without one look alike.
export const modelWords = ({ imt, confidence }) => {
  if (!imt.columns) {
    return "Nothing found: please look.";
  }
  return typeof confidence === "number" ? `The model expects ${Math.round(100 * confidence)} % overlap with yours.` : "";
};

// Ways to choose in which a place in the order means nothing.
const RANDOM = ["random", "layer_entropy_power"];

const ordinal = (number) => {
  const tens = number % 100;
  const ending = tens > 10 && tens < 14 ? "th" : { 1: "st", 2: "nd", 3: "rd" }[number % 10] || "th";
  return `${number}${ending}`;
};

const WHY = {
  pld: "chosen because the model is unsure here",
  pld_diverse: "chosen because the model is unsure here, and the frame is unlike the others",
  layer_entropy_power: "chosen at random; frames that the model is unsure of are chosen more often",
  layer_entropy: "chosen because the model is unsure here",
  random: "chosen at random",
  entropy: "chosen because the model is unsure here",
  least_confidence: "chosen because the model is unsure here",
  margin: "chosen because the model is unsure here",
  bald: "chosen because the model contradicts itself here",
  coreset: "chosen because no labelled frame is like it",
  badge: "chosen because it would change the model most",
  sqa: "chosen because the model expects its mask to be bad here",
};

// How a way to choose frames is called in the list; others stand by their own name.
const CHOICES = {
  layer_entropy_power: "random, unsure ones more often",
  layer_entropy: "most unsure of the wall",
  pld: "networks disagree most (PLD)",
  pld_diverse: "PLD, and frames unlike each other",
  random: "random",
  entropy: "most unsure pixels (entropy)",
  least_confidence: "most unsure pixels (confidence)",
  margin: "most unsure pixels (margin)",
  bald: "model contradicts itself (BALD)",
  coreset: "least like the labelled frames",
  badge: "would change the model most",
  sqa: "worst mask expected",
};

export const choiceOf = (strategy) => CHOICES[strategy] || strategy.replace(/_/g, " ");

// Why a strategy asked for a frame: "chosen because the model is unsure here: 1st of 34".
export const whyOf = (strategy, reason) => {
  const rank = /(?:rank|place) (\d+) of (\d+)/.exec(reason || "");
  const place = rank && !RANDOM.includes(strategy) ? `: ${ordinal(Number(rank[1]))} of ${rank[2]}` : "";
  if (/^cold start[^;]*$/.test(reason || "")) {
    return "chosen at random: the model has not looked at the frames yet";
  }
  const known = WHY[strategy];
  return known && (rank || strategy === "random") ? `${known}${place}` : reason || "";
};

// The time of today, the date and time of another day; empty without one.
export const clockOf = (seconds) => {
  if (!seconds) {
    return "";
  }
  const when = new Date(1000 * seconds);
  const isToday = when.toDateString() === new Date().toDateString();
  return when.toLocaleString([], { ...(isToday ? {} : { dateStyle: "short" }), timeStyle: "short" });
};

// A while in words: "45 s", "12 min".
export const timeOf = (ms) => (ms < 100_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`);
