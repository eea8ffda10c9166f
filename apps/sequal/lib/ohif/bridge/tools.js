// Brush and eraser: OHIF's own tools under its own kind of button, with the size that a thin layer needs.
(function (sequal) {
  "use strict";

  // OHIF starts with 25 mm, which floods a frame of the carotid wall.
  const RADIUS_MM = 0.5;

  const TOOLS = [
    { id: "Brush", icon: "icon-tool-brush", label: "Brush", tool: "CircularBrush" },
    { id: "Eraser", icon: "icon-tool-eraser", label: "Eraser", tool: "CircularEraser" },
  ];
  const GROUPS = ["default", "mpr"];

  const evaluate = ({ tool }) => ({
    name: "evaluate.cornerstone.segmentation",
    toolNames: [tool],
    disabledText: "Connect to the server first.",
  });

  // In the panel, with a slider for the radius.
  const inPanel = (item) => ({
    id: item.id,
    icon: item.icon,
    label: item.label,
    evaluate: evaluate(item),
    options: [
      {
        name: "Radius (mm)",
        id: `${item.id.toLowerCase()}-radius`,
        type: "range",
        min: 0.1,
        max: 5,
        step: 0.1,
        value: RADIUS_MM,
        commands: { commandName: "setBrushSize", commandOptions: { toolNames: [item.tool] } },
      },
      {
        name: "Shape",
        id: `${item.id.toLowerCase()}-mode`,
        type: "radio",
        value: item.tool,
        values: [{ value: item.tool, label: "Circle" }],
        commands: "setToolActiveToolbar",
      },
    ],
  });

  // In the row above the image, one click away while MONAI Label's own panel stays open.
  const inRow = (item) => ({
    id: `sequal${item.id}`,
    uiType: "ohif.radioGroup",
    props: {
      icon: item.icon,
      label: item.label,
      commands: {
        commandName: "setToolActiveToolbar",
        commandOptions: { toolName: item.tool, toolGroupIds: GROUPS },
      },
      evaluate: evaluate(item),
    },
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

  sequal.tools = {
    panel: "@ohif/extension-cornerstone.panelModule.panelSegmentationWithTools",
    add: (toolbarService) => {
      toolbarService.addButtons([
        { id: "BrushTools", uiType: "ohif.buttonGroup", props: { groupId: "BrushTools", items: TOOLS.map(inPanel) } },
        SHAPES,
        ...TOOLS.map(inRow),
      ]);
      // The panel's own section already names BrushTools and Shapes; the row exists as well, and OHIF adds to it.
      toolbarService.createButtonSection("primary", TOOLS.map(({ id }) => `sequal${id}`));
    },
    setRadius: (commandsManager) =>
      commandsManager.runCommand("setBrushSize", { value: RADIUS_MM, toolNames: TOOLS.map(({ tool }) => tool) }),
  };
})((window.sequal = window.sequal || {}));
