// MONAI Label's panel asks for the server's address in every page and forgets it with every change of panel. The viewer
// came from that server, so the bridge fills the address in and presses the panel's own button.
(function (sequal) {
  "use strict";

  const POLL_MS = 500;
  const BUTTON = ".monaiLabelPanel .settingsTable button.actionButton";

  sequal.rememberServer = () => {
    // As the panel itself writes it: it reads this cookie where it would else offer port 8000.
    document.cookie = `MONAILABEL_SERVER_URL=${escape(`${window.location.origin}/`)}`;
  };

  const FLAT =
    "OHIF cannot draw on this series: it needs two or more slices with positions. `cli.py to-dicom` writes such a series.";

  sequal.keepConnected = (view, bar) => {
    let wasFlat = false;
    let fetched = null;
    const timer = setInterval(() => {
      const isFlat = view.isFlat();
      if (isFlat !== wasFlat) {
        wasFlat = isFlat;
        bar.say(isFlat ? FLAT : "", "bad");
      }
      const image = view.image();
      if (image && image !== fetched && !isFlat) {
        fetched = image;
        sequal.server.fetchImage(image).catch((error) => console.error(`SEQUAL: no image yet. ${error.message}`));
      }
      const button = document.querySelector(BUTTON);
      const field = document.getElementById("monailabelServerURL");
      if (!button || button.dataset.sequal || !field || !image || !view.isDrawn()) {
        return;
      }
      button.dataset.sequal = "pressed";
      if (field.value === `${window.location.origin}/`) {
        button.click();
      }
    }, POLL_MS);
    return () => clearInterval(timer);
  };
})((window.sequal = window.sequal || {}));
