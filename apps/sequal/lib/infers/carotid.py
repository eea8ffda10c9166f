"""The `carotid` infer task: the layer in a frame or a clip, with its thickness."""

from lib.configs import Study
from lib.infers.mask import MaskInfer, Predicted
from sequal.anatomy.measurement import thickness_params
from sequal.files.imaging import Frame
from sequal.prediction import predict_frame

__all__ = ["CarotidInfer"]


class CarotidInfer(MaskInfer):
    """The params also hold `imt`, for a clip `imt_frames`, and the same under `of_mask` for the mask as it is drawn."""

    def __init__(self, study: Study) -> None:
        super().__init__(study, "Far-wall intima-media layer of the carotid artery, with its thickness")

    def predict(self, frame: Frame) -> Predicted:
        """A still or a clip, of any size and spacing."""
        study = self._study
        loaded, settings = study.served.load(), study.settings
        found = predict_frame(frame, loaded, settings, study.device, with_errors=self.with_errors)
        params = {
            **thickness_params(found.imt),
            "of_mask": study.model.measure(found.mask, frame),
        }
        return Predicted(found.mask, found.pld, found.confidence, found.quality, params, found)
