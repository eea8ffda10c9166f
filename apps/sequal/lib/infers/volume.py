"""The `volume` infer task: the structures of a volume, with their volumes."""

from lib.configs import Study
from lib.infers.mask import MaskInfer, Predicted
from sequal.files.imaging import Frame
from sequal.prediction import predict_volume

__all__ = ["VolumeInfer"]


class VolumeInfer(MaskInfer):
    """The params also hold `volumes_ml`, millilitres by label."""

    def __init__(self, study: Study) -> None:
        super().__init__(study, f"{', '.join(study.model.labels)} in a volume")

    def predict(self, frame: Frame) -> Predicted:
        """A volume of any size, spacing and orientation."""
        study = self._study
        loaded, settings = study.served.load(), study.settings
        found = predict_volume(frame, loaded, settings, study.device)
        params = {"volumes_ml": found.volumes_ml}
        return Predicted(found.mask, found.pld, found.confidence, found.quality, params, found)
