"""Study folders as users have them, for the commands."""

import numpy as np
import torch

from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.prediction import checkpoint_payload
from sequal.study.state import save_checkpoint
from unit.synthetic_study import SPACING_MM, band, write_image, write_label

__all__ = ["SPACING_MM", "make_folder", "random_checkpoint", "words"]


def make_folder(folder, images=6, labelled=2, per_patient=2, truth=True):
    """`images` frames `im0`, `im1`, …, the first `labelled` traced over columns 10 to 80, `patients.csv`, `truth/`.

    The layer of image n begins at row 20 + n and is 8 pixels (0.48 mm) thick.
    """
    (folder / "labels" / "final").mkdir(parents=True)
    (folder / "truth").mkdir()
    rng = np.random.default_rng(3)
    rows = ["image,patient"]
    for index in range(images):
        pixels, mask = band(rng, top=20 + index)
        name = f"im{index}.nii.gz"
        write_image(folder / name, pixels)
        if truth:
            write_label(folder / "truth" / name, mask)
        if index < labelled:
            partial = mask.copy()
            partial[:10] = partial[80:] = 255
            write_label(folder / "labels" / "final" / name, partial)
        rows.append(f"im{index},p{index // per_patient}")
    (folder / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder


def random_checkpoint(path, seed=0):
    """A pair with random weights, student and teacher different."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pair, other = MeanTeacherPair(Architecture("unet"), 0.95), MeanTeacherPair(Architecture("unet"), 0.95)
    path.parent.mkdir(parents=True, exist_ok=True)
    pair.student.load_state_dict(other.student.state_dict())
    save_checkpoint(path, checkpoint_payload(pair, {}))
    return path


def words(output):
    """What a command printed as one line, without the lines of its tables: a table breaks texts to fit."""
    return " ".join(output.replace("│", " ").split())
