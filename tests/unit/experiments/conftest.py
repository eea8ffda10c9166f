import numpy as np
import pytest

from unit.experiments.miniature import make_images, options, play
from unit.synthetic_study import band, write_image, write_label


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    return make_images(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def played(images, tmp_path_factory):
    """A finished experiment with the cells random, pld and full; only to be read."""
    folder = tmp_path_factory.mktemp("played")
    play(folder, options(images, full=True))
    return folder


@pytest.fixture
def carotid(tmp_path):
    """Eight frames of four sessions, of which an expert traced the left half."""
    folder = tmp_path / "carotid"
    for part in ("study", "truth"):
        (folder / part).mkdir(parents=True)
    rng, rows = np.random.default_rng(0), ["image,patient"]
    for index in range(8):
        pixels, mask = band(rng, top=20 + 2 * index)
        mask[48:] = 255
        write_image(folder / "study" / f"f{index}.nii.gz", pixels)
        write_label(folder / "truth" / f"f{index}.nii.gz", mask)
        rows.append(f"f{index},s{index // 2}")
    (folder / "study" / "patients.csv").write_text("\n".join(rows) + "\n")
    return folder
