// OHIF's MONAI Label mode with brush, eraser and two buttons that save a label and open the stored one: the stock mode can
// run a segmentation, and no more.
//
// Plain script behind OHIF's own app-config.js, for OHIF 3.10.0-beta.5, which monailabel 0.8.5 serves. It gives OHIF a mode
// of the same id as the stock one, which OHIF then takes. Where something of OHIF is not as expected, the stock mode opens,
// and the console says why.
(function () {
  "use strict";

  const MODE = "@ohif/mode-monai-label";
  const PANEL = "@ohif/extension-cornerstone.panelModule.panelSegmentationWithTools";
  // The id that MONAI Label's panel gives to the one segmentation of a page.
  const SEGMENTATION = "1";
  const NOT_ANNOTATED = 255;
  // The address at which the server is one of volumes alone, whatever else it serves.
  const SERVER = "/sequal/volume";
  const MODALITIES = ["CT", "MR", "PT"];
  const RADIUS_MM = 5;
  const TOOLS = [
    { id: "Brush", icon: "icon-tool-brush", label: "Brush", tool: "CircularBrush" },
    { id: "Eraser", icon: "icon-tool-eraser", label: "Eraser", tool: "CircularEraser" },
  ];

  const need = (thing, name) => {
    if (thing === undefined || thing === null) {
      throw new Error(`this version of OHIF has no ${name}`);
    }
    return thing;
  };

  // A button in OHIF's segmentation panel, with a slider for the radius.
  const inPanel = ({ id, icon, label, tool }) => ({
    id,
    icon,
    label,
    evaluate: { name: "evaluate.cornerstone.segmentation", toolNames: [tool], disabledText: "Connect to the server first." },
    options: [
      {
        name: "Radius (mm)",
        id: `${id.toLowerCase()}-radius`,
        type: "range",
        min: 0.5,
        max: 50,
        step: 0.5,
        value: RADIUS_MM,
        commands: { commandName: "setBrushSize", commandOptions: { toolNames: [tool] } },
      },
      {
        name: "Shape",
        id: `${id.toLowerCase()}-mode`,
        type: "radio",
        value: tool,
        values: [{ value: tool, label: "Circle" }],
        commands: "setToolActiveToolbar",
      },
    ],
  });

  const SCISSORS = ["CircleScissor", "RectangleScissor"];
  const SHAPES = {
    id: "Shapes",
    uiType: "ohif.radioGroup",
    props: {
      icon: "icon-tool-shape",
      label: "Shapes",
      evaluate: { name: "evaluate.cornerstone.segmentation", toolNames: SCISSORS },
      options: [
        {
          name: "Shape",
          id: "shape-mode",
          type: "radio",
          value: SCISSORS[0],
          values: SCISSORS.map((tool) => ({ value: tool, label: tool.replace("Scissor", "") })),
          commands: "setToolActiveToolbar",
        },
      ],
    },
  };

  // The image of the segmentation, its voxels in OHIF's order, and what its values mean; null while there is none.
  const drawn = ({ segmentationService, displaySetService }) => {
    const volume = segmentationService.getLabelmapVolume(SEGMENTATION);
    if (!volume) {
      return null;
    }
    const { representationData, segments } = segmentationService.getSegmentation(SEGMENTATION);
    // "cornerstoneStreamingImageVolume:<display set>"
    const reference = need(representationData.Labelmap.referencedVolumeId, "referencedVolumeId").split(":").pop();
    const image = need(displaySetService.getDisplaySetByUID(reference), "image of the segmentation").SeriesInstanceUID;
    const named = Object.values(segments).map(({ label, segmentIndex }) => ({ name: label, idx: segmentIndex }));
    return { image, volume, voxels: Uint8Array.from(volume.voxelManager.getCompleteScalarDataArray()), named };
  };

  // The voxels of a NIfTI file of the server: bytes, in OHIF's order.
  const voxelsOf = async (file) => {
    const content = await new Response(file.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
    return new Uint8Array(content, new DataView(content).getFloat32(108, true)); // vox_offset of NIfTI-1
  };

  // Put the stored label in place of what is drawn; false where the image has none.
  const openStored = async ({ image, volume, voxels, named }) => {
    const query = new URLSearchParams({ label: image, tag: "final" });
    const [reply, info] = await Promise.all([fetch(`${SERVER}/datastore/label?${query}`), fetch(`${SERVER}/info/`)]);
    if (reply.status === 404) {
      return false;
    }
    if (!reply.ok || !info.ok) {
      throw new Error(`The server answered ${reply.ok ? info.status : reply.status}.`);
    }
    const stored = await voxelsOf(await reply.blob());
    if (stored.length !== voxels.length) {
      throw new Error("The stored label has another size than this image.");
    }
    const index = new Uint8Array(256);
    index[NOT_ANNOTATED] = NOT_ANNOTATED; // kept as it is, and sent back
    (await info.json()).labels.forEach((name, place) => {
      index[place + 1] = need(named.find((segment) => segment.name === name), `segment ${name}`).idx;
    });
    volume.voxelManager.setCompleteScalarDataArray(stored.map((value) => index[value]));
    const { Enums, eventTarget, triggerEvent } = window.cornerstone;
    const modified = window.cornerstoneTools.Enums.Events.SEGMENTATION_DATA_MODIFIED;
    triggerEvent(need(eventTarget, "eventTarget"), modified, { segmentationId: SEGMENTATION });
    return true;
  };

  const put = async ({ image, voxels, named }) => {
    const form = new FormData();
    form.append("params", JSON.stringify({ label_info: named }));
    form.append("label", new Blob([voxels]), "label.bin");
    const reply = await fetch(`${SERVER}/datastore/label?image=${encodeURIComponent(image)}`, { method: "PUT", body: form });
    const told = await reply.json().catch(() => ({}));
    if (!reply.ok) {
      throw new Error(typeof told.detail === "string" ? told.detail : `${reply.status} ${reply.statusText}`);
    }
    return told;
  };

  const outcome = ({ pacs, reason, warnings }) => {
    const more = (warnings || []).join(" ");
    const where = { waiting: "The PACS gets it later.", "kept here": "The PACS cannot have it." }[pacs];
    return where ? `Saved at the server. ${where} ${reason || ""} ${more}` : `Saved. ${more}`;
  };

  const element = (tag, name, css, text = "") => {
    const made = document.createElement(tag);
    made.setAttribute("data-cy", `sequal-${name}`);
    made.style.cssText = css;
    made.textContent = text;
    return made;
  };

  // A box in the lower left corner; returns what removes it.
  const addSaving = (services) => {
    need(services.segmentationService.getLabelmapVolume, "segmentationService.getLabelmapVolume");
    const box = element(
      "div",
      "box",
      "position:fixed;left:4px;bottom:4px;width:272px;box-sizing:border-box;z-index:900;padding:10px;" +
        "font:13px sans-serif;color:#d0d8e8;background:#090c29;border:1px solid #3a3f99;border-radius:6px"
    );
    const css = "width:49%;margin-right:1%;padding:5px;border-radius:4px;background:#348cfd;color:#fff;font-weight:600";
    const open = element("button", "open", css, "Open label");
    const save = element("button", "save", css, "Save label");
    const message = element("div", "message", "margin-top:6px;overflow-wrap:anywhere;max-height:40vh;overflow-y:auto");
    box.append(open, save, message);
    let emptyAsked = false;
    const load = async (label) =>
      (await openStored(label)) ? "This is the stored label." : "This volume has no label yet.";
    const store = async (label) => {
      if (!label.voxels.some(Boolean) && !emptyAsked) {
        emptyAsked = true;
        return "Nothing is drawn. Press once more to say that this volume shows none of the structures.";
      }
      emptyAsked = false;
      return outcome(await put(label));
    };
    const alone = async (act, failed) => {
      open.disabled = save.disabled = true;
      message.textContent = "…";
      try {
        const label = drawn(services);
        message.textContent = label ? await act(label) : "Connect to the server first, in the panel MONAI Label.";
      } catch (error) {
        message.textContent = `${failed} ${error.message}`;
      }
      open.disabled = save.disabled = false;
    };
    open.onclick = () => alone(load, "Not opened.");
    save.onclick = () => alone(store, "Not saved.");
    document.body.append(box);
    return () => box.remove();
  };

  const enter = ({ servicesManager, commandsManager }) => {
    const services = need(servicesManager && servicesManager.services, "services");
    // The panel's own section names both, and breaks where one is missing.
    services.toolbarService.addButtons([
      { id: "BrushTools", uiType: "ohif.buttonGroup", props: { groupId: "BrushTools", items: TOOLS.map(inPanel) } },
      SHAPES,
    ]);
    commandsManager.runCommand("setBrushSize", { value: RADIUS_MM, toolNames: TOOLS.map(({ tool }) => tool) });
    return addSaving(services);
  };

  const softly = (act, otherwise) => {
    try {
      return act();
    } catch (error) {
      console.error(`SEQUAL: OHIF opens without brush and Save (${error.message}).`);
      return otherwise;
    }
  };

  const withPanel = (route) => ({
    ...route,
    layoutTemplate: (context) => {
      const layout = route.layoutTemplate(context);
      return { ...layout, props: { ...layout.props, rightPanels: [...layout.props.rightPanels, PANEL] } };
    },
  });

  const extended = (stock) => {
    let leave = () => {};
    return {
      ...stock,
      isValidMode: ({ modalities }) => ({
        valid: modalities.split("\\").some((modality) => MODALITIES.includes(modality)),
        description: `The mode is for studies of ${MODALITIES.join(", ")}.`,
      }),
      routes: need(stock.routes, "routes in its MONAI Label mode").map(withPanel),
      onModeEnter: (managers) => {
        stock.onModeEnter(managers);
        leave = softly(() => enter(managers), leave);
      },
      onModeExit: (managers) => {
        leave();
        stock.onModeExit(managers);
      },
    };
  };

  const mode = {
    id: MODE,
    modeFactory: async ({ modeConfiguration, loadModules }) => {
      const [module] = await loadModules([MODE]);
      const stock = await module.modeFactory({ modeConfiguration, loadModules });
      return softly(() => extended(stock), stock);
    },
  };

  softly(() => {
    const config = need(window.config, "window.config");
    config.modes = [...need(config.modes, "modes in its configuration"), mode];
    // MONAI Label's panel reads the server's address from here; it would else offer port 8000.
    document.cookie = `MONAILABEL_SERVER_URL=${escape(`${window.location.origin}${SERVER}/`)}`;
  });
})();
