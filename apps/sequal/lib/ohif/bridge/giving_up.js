// Giving up: the stock viewer comes up and says why, whatever of OHIF's internals is not as expected.
//
// All files of this folder are joined into one plain script behind OHIF's own app-config.js. It runs before OHIF, in
// every page of the viewer. `sequal` is the one name that it adds to the window.
(function (sequal) {
  "use strict";

  const FLAG = "sequal-bridge-gave-up";

  const notice = (text) => {
    const box = document.createElement("div");
    box.setAttribute("data-cy", "sequal-notice");
    box.style.cssText =
      "position:fixed;left:50%;bottom:8px;transform:translateX(-50%);z-index:1000;max-width:80vw;padding:8px 12px;" +
      "font:13px sans-serif;color:#fff;background:#7a4b00;border-radius:4px";
    const again = document.createElement("button");
    again.textContent = "Try again";
    again.style.cssText = "margin-left:12px;text-decoration:underline";
    again.onclick = () => {
      sessionStorage.removeItem(FLAG);
      window.location.reload();
    };
    box.append(text, again);
    document.body.append(box);
  };

  const whenThereIsABody = (act) =>
    document.body ? act() : document.addEventListener("DOMContentLoaded", act, { once: true });

  // Why the bridge gave up earlier in this tab, or null.
  sequal.gaveUp = () => {
    try {
      return sessionStorage.getItem(FLAG);
    } catch (error) {
      return null; // storage is switched off in this browser
    }
  };

  sequal.sayWhy = (reason) => {
    const text = `SEQUAL: this is the stock viewer, without Save, brush and read-out (${reason}).`;
    console.error(text);
    whenThereIsABody(() => notice(text));
  };

  // Reload without the bridge, so that nothing half changed is left.
  sequal.giveUp = (error) => {
    const reason = String((error && error.message) || error);
    try {
      sessionStorage.setItem(FLAG, reason);
      window.location.reload();
    } catch (blocked) {
      sequal.sayWhy(reason);
    }
  };

  // Fail with a message that names what is missing in this version of OHIF.
  sequal.need = (thing, name) => {
    if (thing === undefined || thing === null) {
      throw new Error(`this version of OHIF has no ${name}`);
    }
    return thing;
  };
})((window.sequal = window.sequal || {}));
