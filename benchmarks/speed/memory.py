"""How much memory the inference of a large volume takes: 256 x 256 x 128 voxels of noise, two structures, each method.

    python benchmarks/speed/memory.py [--threads 1]

Each method has a process of its own, whose greatest resident memory is written to `memory.json`, with that of a process
that has loaded the same networks and predicts nothing. The patch is what `auto` gives for such a study, 96 voxels.
It takes some minutes for each method.
"""

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "apps" / "sequal"))

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from sequal.anatomy.models import model_of  # noqa: E402
from sequal.files.imaging import read_frame  # noqa: E402
from sequal.learning.methods import METHODS  # noqa: E402
from sequal.prediction import checkpoint_payload, load_pair, predict_image  # noqa: E402
from sequal.settings import Settings  # noqa: E402
from sequal.study.state import save_checkpoint  # noqa: E402

SHAPE = (256, 256, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    found: dict[str, dict[str, float]] = {}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for method in METHODS:
            loaded, predicted = (pool.apply(measure, (method, predicts, threads)) for predicts in (False, True))
            found[method] = {"gib": predicted, "gib_loaded": loaded}
            print(method, json.dumps(found[method]), flush=True)
    (HERE / "memory.json").write_text(json.dumps({"shape": SHAPE, "threads": threads, **found}, indent=1) + "\n")


def measure(method: str, predicts: bool, threads: int) -> float:
    """Greatest memory of this process in GiB."""
    torch.set_num_threads(threads)
    settings = Settings.from_conf(
        {
            "models": "volume",
            "labels": "one,two",
            "method": method,
            "volume_spacing": "1,1,1",
            "volume_patch": "96,96,96",
        }
    )
    kind, device = METHODS[method].pair, torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        image, checkpoint = Path(folder) / "image.nii.gz", Path(folder) / "pair.pt"
        noise = np.random.default_rng(0).normal(100, 30, SHAPE).astype(np.int16)
        nib.save(nib.Nifti1Image(noise, np.eye(4)), image)
        del noise
        pair = kind.create(kind.architectures_of(settings, model_of(settings).shape), settings.ema_alpha)
        save_checkpoint(checkpoint, checkpoint_payload(pair, {}, "volume"))
        loaded = load_pair(checkpoint, device)
        if predicts:
            predict_image(read_frame(image), loaded, settings, device)
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)


if __name__ == "__main__":
    main()
