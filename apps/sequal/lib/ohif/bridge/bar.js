// The box in the lower left corner, beside the image: next sample, save, what the server said, and the thickness of the last mask.
(function (sequal) {
  "use strict";

  const COLOURS = { plain: "#d0d8e8", good: "#7fe3a0", bad: "#ffb36b" };

  const element = (tag, name, css, text) => {
    const made = document.createElement(tag);
    made.setAttribute("data-cy", `sequal-${name}`);
    made.style.cssText = css;
    made.textContent = text || "";
    return made;
  };

  const button = (name, text) => {
    const css = "flex:1;padding:5px 8px;border-radius:4px;background:#348cfd;color:#fff;font-weight:600;cursor:pointer";
    const made = element("button", name, css, text);
    made.type = "button";
    return made;
  };

  // The box's parts; the caller gives them their meaning.
  sequal.makeBar = () => {
    const box = element(
      "div",
      "bar",
      "position:fixed;left:4px;bottom:4px;width:272px;box-sizing:border-box;z-index:900;padding:10px;" +
        "display:flex;flex-direction:column;gap:8px;font:13px Inter,sans-serif;line-height:1.35;color:#d0d8e8;" +
        "background:rgba(9,12,41,.94);border:1px solid #3a3f99;border-radius:6px"
    );
    const row = "display:flex;gap:8px;align-items:center";
    const buttons = element("div", "buttons", row);
    const choice = element("div", "choice", `${row};justify-content:space-between`);
    const strategy = element("select", "strategy", "min-width:0;padding:3px 6px;border-radius:4px;background:#041c4a;color:#fff");
    strategy.title = "How the next sample is chosen";
    const count = element("span", "count", "white-space:nowrap");
    const save = button("save", "Save label");
    const next = button("next", "Next sample");
    const readout = element("div", "readout", "color:#fff;white-space:pre-line");
    const training = element("div", "training", "");
    const message = element("div", "message", "overflow-wrap:anywhere;max-height:40vh;overflow-y:auto");
    buttons.append(save, next);
    choice.append(strategy, count);
    const style = document.createElement("style");
    style.textContent = "[data-cy^='sequal-']:empty { display: none }";
    box.append(style, buttons, choice, readout, training, message);
    return {
      box,
      save,
      next,
      strategy,
      readout,
      count,
      training,
      say: (text, kind) => {
        message.textContent = text;
        message.style.color = COLOURS[kind || "plain"];
      },
      // One press at a time: a second click while the server works is not a second request.
      busy: (working) => {
        [save, next].forEach((each) => {
          each.disabled = working;
          each.style.opacity = working ? "0.5" : "1";
        });
      },
    };
  };

  const number = (value, digits) => (typeof value === "number" ? value.toFixed(digits) : "–");

  // "IMT mean 0.71 mm, max 0.83 mm", "PLD 0.0123 · confidence 94 %", and what the reader must know before using it.
  // Where nothing was found there is no confidence, since a missed wall and a frame without one look alike.
  sequal.readoutOf = ({ imt, pld, confidence }) => {
    const unit = imt.calibrated ? "mm" : "px";
    const digits = imt.calibrated ? 2 : 1;
    const length = (name) => `${number(imt[`${name}_${unit}`], digits)} ${unit}`;
    const thickness = imt.columns ? `IMT mean ${length("mean")}, max ${length("max")}` : "Nothing found: please look";
    const flags = (imt.flags || []).filter((flag) => flag !== "no_layer").map((flag) => flag.replace(/_/g, " "));
    // A KL of two networks that nearly agree is small: digits that count, not places.
    const divergence = typeof pld === "number" ? pld.toPrecision(3) : "–";
    const sure = typeof confidence === "number" ? ` · confidence ${number(100 * confidence, 0)} %` : "";
    return [thickness, `PLD ${divergence}${sure}`, ...(flags.length ? [flags.join(", ")] : [])].join("\n");
  };
})((window.sequal = window.sequal || {}));
