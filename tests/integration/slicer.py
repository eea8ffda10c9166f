"""What 3D Slicer's plugin does with the server, in its order, with its own client; the labels as Slicer writes them."""

import importlib.util
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import requests
import SimpleITK as sitk  # noqa: N813 - as its users write it
from numpy.typing import NDArray

#: The plugin, as the wheel of MONAI Label 0.8.5 brings it.
PLUGIN = Path(sys.prefix) / "monailabel" / "plugins" / "slicer" / "MONAILabel"

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _plugins_client() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slicer_client", PLUGIN / "MONAILabelLib" / "client.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MONAILabelClient = _plugins_client().MONAILabelClient


def calls_of_the_plugin() -> set[str]:
    """Methods of its client that the plugin calls: its widget through its logic."""
    source = (PLUGIN / "MONAILabel.py").read_text(encoding="utf-8")
    logic = source[source.index("class MONAILabelLogic(") :]
    methods = re.split(r"\n    def ", logic)[1:]
    by_method = {
        text.partition("(")[0]: set(re.findall(r"(?:self\._client\(\)|client|mc)\.(\w+)\(", text)) for text in methods
    }
    called = set(re.findall(r"self\.logic\.(\w+)\(", source))
    return set().union(*(calls for name, calls in by_method.items() if name in called or name == "_client"))


def replayed_calls() -> set[str]:
    """Methods of its client that are called here."""
    return set(re.findall(r"(?:self\._client\(\)|client)\.(\w+)\(", Path(__file__).read_text(encoding="utf-8")))


@dataclass
class Slicer:
    """The calls of `MONAILabel.py`.

    Attributes:
        url: of the server.
        folder: where the plugin keeps what it receives.
        info: as `fetchInfo` left it.
        sample: as `onNextSampleButton` left it.
    """

    url: str
    folder: Path
    info: dict[str, Any] = field(default_factory=dict)
    sample: dict[str, Any] = field(default_factory=dict)

    def _client(self) -> Any:
        client = MONAILabelClient(self.url, str(self.folder), "user-xyz")
        assert not client.auth_enabled()  # it asks before every call
        return client

    def fetch_info(self) -> dict[str, Any]:
        self.info = self._client().info()
        assert "config" not in self.info  # it would take the server for an old one
        return self.info

    def models_in_the_box(self) -> list[str]:
        """Names in the list 'Auto Segmentation'."""
        return [name for name, model in self.info["models"].items() if model["type"] in ("segmentation", "detection")]

    def autosegmenting_model(self) -> str:
        """The model that runs by itself on a new sample: the first that names a label of the app."""
        labels = self.info["labels"]
        return next(name for label in labels for name, model in self.info["models"].items() if label in model["labels"])

    def params(self, section: str, name: str) -> dict[str, Any]:
        """`getParamsFromConfig`, after the table of options was shown: an empty cell stands for what is false."""
        config = self.info[section][name].get("config", {})
        return {key: value[0] if isinstance(value, list) else value for key, value in config.items()}

    def next_sample(self, strategy: str, *, local: bool) -> NDArray[Any]:
        """The image as the plugin loads it, from the path where it can see it, else over HTTP."""
        self.sample = self._client().next_sample(strategy, self.params("strategies", strategy))
        file = Path(self.sample["path"])
        if not local:
            reply = requests.get(f"{self.url}/datastore/image", params={"image": self.sample["id"]}, timeout=60)
            assert reply.status_code == 200
            file = self.folder / self.sample.get("name", self.sample["id"])
            file.write_bytes(reply.content)
        self.volume = sitk.ReadImage(str(file))
        return sitk.GetArrayFromImage(self.volume)

    def original_label(self) -> Path | None:
        """The label that the plugin shows at first, if the server has one under `original`."""
        entry = self._client().datastore()["objects"][self.sample["id"]]["labels"]
        if "original" not in entry:
            return None
        return Path(self._client().download_label(self.sample["id"], "original"))

    def run(self, model: str, **more: Any) -> tuple[Path, dict[str, Any]]:
        """`onClickSegmentation`."""
        params = {**self.params("models", model), "result_extension": ".nrrd", "result_dtype": "uint8"}
        file, result = self._client().infer(model, self.sample["id"], params, None, None, more.get("session_id"))
        return Path(file), result

    def open_own(self, volume: Path) -> str:
        """A volume that the annotator opened, and `getSessionId` on its first run."""
        self.sample = {"id": volume.name.partition(".")[0], "session": True}
        self.volume = sitk.ReadImage(str(volume))
        self.sample["session_id"] = self._client().create_session(str(volume))["session_id"]
        assert self._client().get_session(self.sample["session_id"])
        return str(self.sample["session_id"])

    def upload(self, volume: Path) -> None:
        """`onUploadImage`, which *Submit Label* begins with for such a volume."""
        self._client().upload_image(str(volume), self.sample["id"])
        self.sample["session"] = False

    def save(self, label: Path, segments: list[tuple[str, int]]) -> dict[str, Any]:
        """`onSaveLabel`: the file, and name and number of every segment."""
        label_info = [{"name": name, "idx": number} for name, number in segments]
        result = self._client().save_label(self.sample["id"], str(label), params={"label_info": label_info})
        self.fetch_info()
        return result

    def train(self, model: str, **changes: Any) -> dict[str, Any]:
        """`onTraining`: the whole advertised config goes back, with what was changed in the table."""
        return self._client().train_start(model, {**self.params("trainers", model), **changes})

    def training_runs(self) -> bool:
        return bool(self._client().train_status(True))

    def training(self) -> dict[str, Any]:
        return self._client().train_status(False)

    def stop_training(self) -> dict[str, Any]:
        return self._client().train_stop()


def ras_affine(volume: sitk.Image) -> NDArray[np.float64]:
    """Pixel to RAS millimetres of a volume as ITK, and so Slicer, sees it."""
    dimensions = volume.GetDimension()
    affine = np.eye(4)
    direction = np.array(volume.GetDirection()).reshape(dimensions, dimensions)
    affine[:dimensions, :dimensions] = direction * np.array(volume.GetSpacing())
    affine[:dimensions, 3] = volume.GetOrigin()
    return _RAS_TO_LPS @ affine


def write_labelmap(path: Path, label: NDArray[np.uint8], volume: sitk.Image) -> Path:
    """A labelmap volume on the geometry of the image, `(W, H, F)`, as `saveNode` writes it."""
    image = sitk.GetImageFromArray(label.T)
    if volume.GetSize() == image.GetSize():
        image.CopyInformation(volume)
    sitk.WriteImage(image, str(path), True)
    return path
