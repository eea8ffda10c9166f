"""Times one size of study in the server's own process, without HTTP; `run.py` starts it."""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "apps" / "sequal"
sys.path[:0] = [str(APP), str(Path(__file__).resolve().parent)]

from study import fill_state, frame, image_ids, make_study, save  # noqa: E402

#: Larger studies are ids alone, but for the images that are asked for: making a million files takes too long.
MOST_FILES = 100_000


def main(size: int, repeats: int) -> None:
    """Print one JSON object."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        print(json.dumps(timed(Path(folder), size, repeats)))


def timed(folder: Path, size: int, repeats: int) -> dict[str, Any]:
    from lib.datastores.found_files import FoundFiles
    from sequal.settings import Settings
    from sequal.study.state import StudyState

    studies, files = folder / "study", min(size, MOST_FILES)
    labelled = make_study(studies, size, files)
    state = StudyState.open(folder / "state", Settings())
    ids = image_ids(size)
    fill_state(state, ids, labelled, APP / "model" / "pretrained_carotid.pt")
    if size > files:
        simulated = {f"{image}.nii.gz" for image in ids}
        list_files = FoundFiles._list
        FoundFiles._list = lambda self: simulated if self._folder.resolve() == studies.resolve() else list_files(self)
    first = start(studies, folder / "state")
    again = start(studies, folder / "state")
    app, next_sample, save_label = again["app"], again["next"], again["save"]
    wait_until_scoring_was_looked_for(app)
    label = save(folder / "label.nii.gz", frame(0)[1])
    real = set(ids[:files])
    result: dict[str, list[tuple[float, float]]] = {"next": [], "save": [], "fixed": []}
    for number in range(repeats):
        result["fixed"].append(stopwatch(lambda: sum(range(200_000)))[0])
        seconds, sample = stopwatch(lambda number=number: next_sample({"client_id": f"annotator {number % 8}"}))
        result["next"].append(seconds)
        image = sample["id"]
        if image not in real:  # an id alone: give it a file, so that its label can be checked
            (studies / f"{image}.nii.gz").hardlink_to(folder / "sources" / "0.nii.gz")
        seconds, _ = stopwatch(lambda image=image: save_label(image, str(label)))
        result["save"].append(seconds)
    return {
        "size": size,
        "files": files,
        "start_s": {"first": first["seconds"], "again": again["seconds"]},
        **{f"{name}_ms": summary(times) for name, times in result.items()},
    }


def start(studies: Path, state: Path) -> dict[str, Any]:
    """Make the app as the server does; the time is that of everything but importing."""
    import monailabel.app  # noqa: F401 - the server's own module, from which the app adds its routes
    from monailabel.config import settings
    from monailabel.endpoints import activelearning
    from monailabel.interfaces.utils import app as apps

    settings.MONAI_LABEL_APP_DIR, settings.MONAI_LABEL_STUDIES = str(APP), str(studies)
    settings.MONAI_LABEL_APP_CONF = {"state": str(state)}
    apps.clear_cache()
    begin = time.perf_counter()
    app = apps.app_instance()
    app.server_mode(True)
    seconds = time.perf_counter() - begin

    def next_sample(params: dict[str, Any]) -> dict[str, Any]:
        return activelearning.sample("pld", params, "annotator")

    def save_label(image: str, file: str) -> None:
        label = app.datastore().save_label(image, file, "final", {"client_id": "annotator"})
        app.on_save_label(image, label)

    return {"app": app, "seconds": seconds, "next": next_sample, "save": save_label}


def wait_until_scoring_was_looked_for(app: Any) -> None:  # noqa: ANN401 - the class comes from a file
    app._auto_scoring.ask(app.datastore(), wait=True)


def stopwatch(action: Callable[[], Any]) -> tuple[tuple[float, float], Any]:
    """Seconds on the clock and of the processor, and what the action gives."""
    begin, used = time.perf_counter(), time.thread_time()
    result = action()
    return (time.perf_counter() - begin, time.thread_time() - used), result


def summary(times: list[tuple[float, float]]) -> dict[str, float]:
    """Median and 95th percentile on the clock, and the median of the processor's time, in milliseconds."""
    clock, processor = (sorted(1000 * value for value in values) for values in zip(*times, strict=True))
    p95 = clock[int(0.95 * (len(clock) - 1))]
    return {"median": statistics.median(clock), "p95": p95, "processor": statistics.median(processor)}


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
