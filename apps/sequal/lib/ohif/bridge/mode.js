// OHIF's MONAI Label mode with ultrasound, one pane, brush, eraser and the bar.
//
// Made through OHIF's own doors: a mode object in the configuration, which OHIF takes in place of its own of the same
// id, and an extension that brings a hanging protocol. Written against OHIF 3.10.0-beta.5, which monailabel 0.8.5 serves.
(function (sequal) {
  "use strict";

  const MODE = "@ohif/mode-monai-label";
  const PROTOCOL = "sequalOnePane";

  const protocol = {
    id: PROTOCOL,
    name: "One pane",
    locked: true,
    protocolMatchingRules: [],
    imageLoadStrategy: "interleaveCenter",
    displaySetSelectors: {
      image: {
        seriesMatchingRules: [
          { weight: 1, attribute: "isReconstructable", constraint: { equals: { value: true } }, required: true },
        ],
      },
    },
    stages: [
      {
        name: "one",
        viewportStructure: { layoutType: "grid", properties: { rows: 1, columns: 1 } },
        viewports: [
          {
            viewportOptions: {
              toolGroupId: "default",
              viewportType: "volume",
              orientation: "acquisition",
              initialImageOptions: { preset: "middle" },
            },
            displaySets: [{ id: "image" }],
          },
        ],
      },
    ],
  };

  sequal.extension = {
    id: "sequal-ohif-bridge",
    getHangingProtocolModule: () => [{ name: PROTOCOL, protocol }],
  };

  const withPanel = (route) => ({
    ...route,
    layoutTemplate: (context) => {
      const layout = route.layoutTemplate(context);
      const rightPanels = [...layout.props.rightPanels, sequal.tools.panel];
      return { ...layout, props: { ...layout.props, rightPanels } };
    },
  });

  let leave = () => {};

  const enter = ({ servicesManager, commandsManager }) => {
    const services = sequal.need(servicesManager && servicesManager.services, "services");
    sequal.need(services.toolbarService && services.toolbarService.createButtonSection, "toolbarService");
    sequal.need(commandsManager && commandsManager.runCommand, "commandsManager.runCommand");
    const view = sequal.view(services);
    sequal.tools.add(services.toolbarService);
    sequal.tools.setRadius(commandsManager);
    const bar = sequal.makeBar();
    const parts = [sequal.annotate(bar, view), sequal.keepConnected(view, bar)];
    document.body.append(bar.box);
    sequal.shown = view;
    leave = () => {
      parts.forEach((stop) => stop());
      bar.box.remove();
      leave = () => {};
    };
  };

  const extended = (stock) => {
    sequal.need(stock && stock.onModeEnter, "onModeEnter in its MONAI Label mode");
    sequal.need(stock.isValidMode, "isValidMode in its MONAI Label mode");
    sequal.need(stock.routes && stock.routes[0] && stock.routes[0].layoutTemplate, "layout in its MONAI Label mode");
    return {
      ...stock,
      hangingProtocol: PROTOCOL,
      routes: stock.routes.map(withPanel),
      isValidMode: (study) => {
        const found = stock.isValidMode(study);
        return { ...found, valid: found.valid || study.modalities.split("\\").includes("US") };
      },
      onModeEnter: (managers) => {
        stock.onModeEnter(managers);
        try {
          enter(managers);
        } catch (error) {
          sequal.giveUp(error);
        }
      },
      onModeExit: (managers) => {
        leave();
        stock.onModeExit(managers);
      },
    };
  };

  sequal.mode = {
    id: MODE,
    modeFactory: async ({ modeConfiguration, loadModules }) => {
      try {
        const [stock] = await sequal.need(loadModules, "loadModules")([MODE]);
        return extended(await sequal.need(stock, MODE).modeFactory({ modeConfiguration, loadModules }));
      } catch (error) {
        sequal.giveUp(error);
        return null;
      }
    },
  };
})((window.sequal = window.sequal || {}));
