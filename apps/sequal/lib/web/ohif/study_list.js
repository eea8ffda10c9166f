// OHIF's study list opens ultrasound in the page where it is annotated: one button, "Annotate".
//
// Plain script behind OHIF's own app-config.js. It uses what OHIF documents, and nothing else: a mode in `config.modes`,
// its `isValidMode` and its `onModeInit`. https://docs.ohif.org/platform/modes
(function () {
  "use strict";

  const ID = "sequal-annotate";

  const annotate = {
    id: ID,
    routeName: "annotate",
    displayName: "Annotate",
    isValidMode: ({ modalities }) => ({
      valid: modalities.split("\\").includes("US"),
      description: "This server annotates ultrasound.",
    }),
    // Called before anything of the study is loaded. `replace`: the way back leads to the list, not to here.
    onModeInit: ({ query }) => {
      const study = query.get("StudyInstanceUIDs") || "";
      window.location.replace(`/sequal/annotate/?study=${encodeURIComponent(study)}`);
    },
    onModeEnter: () => {},
    onModeExit: () => {},
    routes: [{ path: "annotate", layoutTemplate: () => ({ id: ID, props: {} }) }],
    extensions: {},
    hangingProtocol: "default",
    sopClassHandlers: [],
    hotkeys: [],
  };

  if (window.config && Array.isArray(window.config.modes)) {
    window.config.modes = [...window.config.modes, { id: ID, modeFactory: () => annotate }];
  } else {
    console.error("SEQUAL: OHIF's configuration is not as expected; open /sequal/annotate/ to annotate.");
  }
})();
