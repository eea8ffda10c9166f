// The last part of the script: hand the mode and the extension to OHIF, or say why not.
(function (sequal) {
  "use strict";

  const reason = sequal.gaveUp();
  if (reason) {
    sequal.sayWhy(reason);
    return;
  }
  try {
    const config = sequal.need(window.config, "window.config");
    const modes = sequal.need(config.modes, "modes in its configuration");
    const extensions = sequal.need(config.extensions, "extensions in its configuration");
    config.modes = [...modes, sequal.mode];
    config.extensions = [...extensions, sequal.extension];
    sequal.rememberServer();
  } catch (error) {
    sequal.giveUp(error);
  }
})((window.sequal = window.sequal || {}));
