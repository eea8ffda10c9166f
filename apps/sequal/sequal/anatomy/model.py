"""What is segmented: everything that the library has to know of a structure, and nothing else may know."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import Tensor

from sequal.anatomy.measurement.comparison import Compared
from sequal.errors import ImageError, LabelError
from sequal.files.imaging import Frame, read_frame, read_label
from sequal.files.imaging.dicom_series import SeriesImage
from sequal.files.imaging.layout import Layout
from sequal.labels import BACKGROUND, IGNORE
from sequal.learning.networks import Architecture
from sequal.learning.refinement import FusionResult
from sequal.preparation.working_frame import Grid, WorkingFrame
from sequal.settings import Settings

__all__ = ["Model", "NativePrediction", "PriorLoss", "no_prior"]

#: What a model knows of any prediction: a loss of the logits of all patches (B, C, *spatial) beside their labels.
PriorLoss = Callable[[Tensor, Tensor], Tensor | float]


def no_prior(_logits: Tensor, _label: Tensor) -> float:
    """Of a model that knows nothing of every prediction."""
    return 0.0


@dataclass(frozen=True)
class NativePrediction:
    """A prediction on an image's own grid, as networks give it.

    Attributes:
        classes: uint8, the array of the image: 0 background, then the labels.
        foreground: float32 of that shape, probability of any label, 0..1.
        confidence: float32 of that shape, probability of the class that is shown, 0..1.
    """

    classes: NDArray[np.uint8]
    foreground: NDArray[np.float32]
    confidence: NDArray[np.float32]


class Model(ABC):
    """One structure or several, bound to the settings of a study.

    Attributes:
        name: as in the setting `models`, in checkpoints and in the names of MONAI Label's tasks.
        title: as people call it, for the name of the server.
        spatial_dims: 2 for frames and clips, 3 for volumes.
        streams_apart: patches with and without a label go through a network that learns its batch statistics one after
            the other. Together they may be told apart by these: of networks trained from random weights on simulated
            slices of two scanners, Dice 0.22 and 0.38 together, 0.75 and 0.71 apart (two structures, one seed).
        branch_tells: the Dice to expect of a mask is what the error branch says, where there is one; else it is the
            calibrated confidence, and the branch speaks of empty masks alone (`benchmarks/quality`).
        modalities: of the DICOM series that are its images.
        is_layer: it is one layer that crosses a frame, drawn as two curves and measured by its thickness; the page to
            annotate in the browser is for this.
        named_by_settings: its labels are those of the setting `labels`.
        cleans: `clean` may take something away.
        looks_for: what it needs to find in the `surroundings` of a checkpoint whose round looked at them.
        drops_numbers: numbers of a submitted label that are no label become background, as markers and notes of
            viewers; else they are refused, because they may be a structure that `labels` does not name.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    spatial_dims: ClassVar[int]
    modalities: ClassVar[tuple[str, ...]]
    is_layer: ClassVar[bool] = False
    named_by_settings: ClassVar[bool] = False
    streams_apart: ClassVar[bool] = False
    branch_tells: ClassVar[bool] = False
    cleans: ClassVar[bool] = False
    looks_for: ClassVar[frozenset[str]] = frozenset()
    drops_numbers: ClassVar[bool] = True

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    @abstractmethod
    def labels(self) -> Mapping[str, int]:
        """Number of each label by its name, ascending from 1."""

    @property
    def shape(self) -> Architecture:
        """What any network of this model takes and gives, under the name that `network` says."""
        return Architecture(self.settings.network, self.spatial_dims, classes=len(self.labels) + 1)

    @property
    @abstractmethod
    def patch(self) -> tuple[int, ...]:
        """Size of a training patch in pixels or voxels of the working grid."""

    @property
    def description(self) -> str:
        """What its masks show, for people who choose among the models of a server."""
        return ", ".join(self.labels)

    @abstractmethod
    def prepare(self, frame: Frame) -> WorkingFrame:
        """An image on its working grid, normalised.

        Raises:
            ImageError: it is no image of this model.
        """

    @abstractmethod
    def pixel_mm(self, frame: Frame) -> tuple[float, ...]:
        """Size of a pixel or voxel along the axes of the array; what it counts as where the file does not say."""

    @abstractmethod
    def read_series(self, folder: Path) -> SeriesImage:
        """The image that a DICOM series is.

        Args:
            folder: holds `.dcm` files of one series and nothing else.

        Raises:
            ImageError: it is no image of this model.
        """

    def planes(self, headers: Sequence[Any]) -> list[int]:
        """Which frame of a series each slice of its image is.

        Args:
            headers: of its instances, as `read_series_headers` sorts them.

        Returns:
            For each slice, its place among all frames of the series.
        """
        return list(range(sum(int(header.get("NumberOfFrames") or 1) for header in headers)))

    def read_label(self, path: Path, frame: WorkingFrame) -> NDArray[np.uint8]:
        """The expert's label in the array of its image: uint8, classes and 255, with the rule of supervision applied.

        Where the expert says that the image does not show the structure, every pixel is background.

        Raises:
            LabelError: it cannot be read, does not fit the image, or says nothing that can be learnt.
        """
        shape = (*frame.grid.native, frame.frames)[:3]
        return self.label_on(path, shape, frame.layout, frame.affine)

    def drawn_on(self, path: Path, frame: Frame) -> NDArray[np.uint8]:
        """A label or a mask as its file has it, uint8 in the array of its image; which values occur is not judged.

        Raises:
            LabelError: it cannot be read, or does not fit the image.
        """
        affine = frame.affine if self.spatial_dims == 3 else None
        return read_label(path, frame.grid, layout=frame.layout, labels=self.labels, affine=affine)

    @abstractmethod
    def label_on(
        self, path: Path, shape: tuple[int, ...], layout: Layout, affine: NDArray[np.float64] | None
    ) -> NDArray[np.uint8]:
        """As `read_label`, of an image that was not prepared.

        Args:
            path: the file of the label.
            shape: of the array of the image, three axes.
            layout: how that array lies in the file of the image.
            affine: (4, 4) of that array, voxel to RAS millimetres; counts for volumes.

        Raises:
            LabelError: as `read_label`.
        """

    @abstractmethod
    def compare(self, first: NDArray[np.uint8], second: NDArray[np.uint8], frame: Frame) -> tuple[Compared, ...]:
        """Two labels of one image beside each other.

        Args:
            first: uint8, classes and 255, in the array of the image.
            second: the same.
            frame: the image.

        Returns:
            One entry a structure of the model.
        """

    @abstractmethod
    def to_working(self, label: NDArray[np.uint8], grid: Grid) -> NDArray[np.uint8]:
        """A label of `read_label` on the working grid, uint8 (F, *working)."""

    @abstractmethod
    def to_native(self, log_p: Tensor, grid: Grid) -> NativePrediction:
        """Log-softmax (F, C, *working) of every frame on the image's own grid."""

    def clean(
        self, prediction: NativePrediction, frame: Frame, surroundings: Mapping[str, float] | None = None
    ) -> NativePrediction:
        """What annotators are shown of a prediction of an image: without what cannot be.

        Args:
            prediction: as the networks give it.
            frame: the image.
            surroundings: of the labels that taught the networks, as `surroundings` found them; None: none did. Rules
                that follow from what the starting weights know give way to them.
        """
        return prediction

    def shown(
        self, prediction: NativePrediction, image: Path, surroundings: Mapping[str, float] | None
    ) -> NativePrediction:
        """`clean`, of an image that is read again only where something may go.

        Raises:
            ImageError: it cannot be read, or is another one by now.
        """
        if not self.cleans:
            return prediction
        frame = read_frame(image)
        if frame.pixels.shape != prediction.classes.shape:
            raise ImageError(
                f"Expected {image.name} to be as it was read before, got the size {frame.pixels.shape} in place of "
                f"{prediction.classes.shape}. Do not replace an image while it is used."
            )
        return self.clean(prediction, frame, surroundings)

    def surroundings(self, labelled: Iterable[tuple[NDArray[np.uint8], Frame]]) -> dict[str, float]:
        """What labels say of where the structure lies; a checkpoint keeps it for `clean`.

        Args:
            labelled: an expert's labels, in the array of the image, each with its image.
        """
        return {}

    @abstractmethod
    def fuse(self, current: NDArray[np.uint8], expert: NDArray[np.uint8], prediction: NativePrediction) -> FusionResult:
        """The label ỹ of an image, refined by a prediction of it (S1, step 5)."""

    @abstractmethod
    def geometry(self, *, on_structure: bool) -> Compose:
        """Cuts a patch of `patch` with random geometry, on the structure two times out of three if asked for."""

    @abstractmethod
    def intensity(self) -> Compose:
        """Perturbs the grey values of a patch."""

    @property
    def classes(self) -> frozenset[int]:
        """Values that a label may hold."""
        return frozenset({BACKGROUND, IGNORE, *self.labels.values()})

    def check_values(self, label: NDArray[np.uint8], name: str) -> None:
        """See that a label holds nothing but the classes and 255.

        Args:
            label: uint8, any shape.
            name: of its file, for the message.

        Raises:
            LabelError: it has other values; the message names them.
        """
        strange = sorted({int(value) for value in np.unique(label)} - self.classes)
        if strange:
            names = ", ".join(f"{number} {name}" for name, number in self.labels.items())
            raise LabelError(
                f"Expected the values of {name} to be 0 for background, 255 where nothing was annotated, and "
                f"{names}, got {strange} as well. Remove the other segments, or name them in --conf labels."
            )

    def warnings(
        self, label: NDArray[np.uint8], frame: Frame, dropped: Mapping[int, int] | None = None
    ) -> tuple[str, ...]:
        """What an annotator should know about a label that can be used.

        Args:
            label: uint8, as submitted and cleaned, in the array of the image.
            frame: its image.
            dropped: pixels of other segments by their value.

        Raises:
            LabelError: it cannot be a label of this model.
        """
        return ()

    @abstractmethod
    def measure(self, label: NDArray[np.uint8], frame: Frame) -> dict[str, Any]:
        """What a label of an image measures, as JSON values by key.

        Args:
            label: uint8, cleaned, in the array of the image.
            frame: its image.
        """

    def report(self, shown: NativePrediction, frame: Frame) -> dict[str, Any]:
        """What the reply of an inference says of its mask, as JSON values by key; `measure`, if nothing else is known.

        Args:
            shown: as `clean` gives it.
            frame: the image.
        """
        return self.measure(shown.classes, frame)

    @abstractmethod
    def judge(
        self, shown: NativePrediction, truth: NDArray[np.uint8], spacing_mm: tuple[float, ...] | None
    ) -> dict[str, Any]:
        """How well what annotators are shown of an image agrees with its truth, as JSON values.

        Args:
            shown: as `clean` gives it, of a still or a volume.
            truth: uint8, the array of the image, classes and 255, where nothing counts.
            spacing_mm: size of a pixel or voxel along the axes of the array; None: nobody knows.

        Returns:
            `layer`, `empty`, `failed`, `dice`, `iou`, `hd95`, `asd`, `unit`, as `sequal.anatomy.measurement.judging`
            says, and what else the model measures.
        """

    def prior(self) -> PriorLoss:
        """What is known of every prediction, annotated or not."""
        return no_prior

    def convention(self, seen: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8], Grid]]) -> Any:  # noqa: ANN401
        """How the labels of a reader differ from what the starting weights draw; None where a model has no word for it.

        Args:
            seen: classes that the starting weights draw, and the expert's label, both in the array of the image, with
                its grid.
        """
        return None

    def moved(
        self,
        label: NDArray[np.uint8],
        convention: Any,  # noqa: ANN401 - what `convention` gave
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """A label on the working grid (F, *working) as the reader of that convention would have drawn it.

        Args:
            label: uint8, classes and 255.
            convention: None: the label stays as it is.
            rng: source of the draw.
        """
        return label

    def logit_offset(self, seen: Iterable[tuple[NativePrediction, NDArray[np.uint8], Frame]]) -> float:
        """By how much a round raises the log-odds of the labels, so that its masks are as large as what experts draw.

        Args:
            seen: of each labelled image what would be shown, the expert's label in the array of the image, and the
                image.

        Returns:
            0 where a model has no word for it.
        """
        return 0.0

    def rehearsal(
        self,
        cache: Path,
        seed: int,
        convention: Any,  # noqa: ANN401 - what `convention` gave
    ) -> Iterable[tuple[Tensor, Tensor]] | None:
        """Endless patches of simulated images with their labels, so that a round does not forget; None: there are none.

        Args:
            cache: a file to keep them in.
            seed: of the draw.
            convention: in which they are labelled.
        """
        return None
