// What OHIF shows at the moment: the image of the active pane and the voxels of its label.
(function (sequal) {
  "use strict";

  // The id that MONAI Label's panel gives to the one segmentation of a page.
  const SEGMENTATION = "1";

  const isImage = ({ Modality }) => !["SEG", "SR", "RTSTRUCT"].includes(Modality);

  sequal.view = (services) => {
    const { viewportGridService, displaySetService, segmentationService, cornerstoneViewportService } = services;
    sequal.need(viewportGridService && viewportGridService.getState, "viewportGridService.getState");
    sequal.need(displaySetService && displaySetService.getDisplaySetByUID, "displaySetService.getDisplaySetByUID");
    sequal.need(displaySetService.getActiveDisplaySets, "displaySetService.getActiveDisplaySets");
    sequal.need(segmentationService && segmentationService.getLabelmapVolume, "segmentationService.getLabelmapVolume");
    sequal.need(segmentationService.getSegmentation, "segmentationService.getSegmentation");
    sequal.need(
      cornerstoneViewportService && cornerstoneViewportService.getCornerstoneViewport,
      "cornerstoneViewportService.getCornerstoneViewport"
    );

    const pane = () => {
      const { viewports, activeViewportId } = viewportGridService.getState();
      return viewports && viewports.get(activeViewportId);
    };

    // The image series of the active pane, or null while nothing is open.
    const series = () => {
      const uids = (pane() || {}).displaySetInstanceUIDs || [];
      const sets = uids.map((uid) => displaySetService.getDisplaySetByUID(uid)).filter(Boolean);
      return sets.find(isImage) || null;
    };

    const seriesOf = (uid) => (displaySetService.getDisplaySetByUID(uid) || {}).SeriesInstanceUID || null;

    return {
      image: () => (series() || {}).SeriesInstanceUID || null,
      // Only images of one instance, or slices without positions: OHIF makes no volume of them and shows none.
      isFlat: () => {
        const images = displaySetService.getActiveDisplaySets().filter(isImage);
        return images.length > 0 && !images.some(({ isReconstructable }) => isReconstructable);
      },
      isDrawn: () => {
        const found = pane();
        const viewport = found && cornerstoneViewportService.getCornerstoneViewport(found.viewportId);
        return Boolean(viewport && viewport.getActors && viewport.getActors().length);
      },
      // The label: the image series that it was made for and a copy of its voxels. Null when there is none yet.
      label: () => {
        const volume = segmentationService.getLabelmapVolume(SEGMENTATION);
        if (!volume) {
          return null;
        }
        const { representationData } = segmentationService.getSegmentation(SEGMENTATION);
        // "cornerstoneStreamingImageVolume:<display set>"
        const reference = sequal.need(representationData.Labelmap.referencedVolumeId, "referencedVolumeId");
        const voxels = sequal.need(volume.voxelManager, "voxelManager").getCompleteScalarDataArray();
        return { image: seriesOf(reference.split(":").pop()), voxels: Uint8Array.from(voxels) };
      },
    };
  };
})((window.sequal = window.sequal || {}));
