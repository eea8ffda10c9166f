from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch
from fastapi import HTTPException

from lib.infers import IMAGE_ID
from lib.infers.review import ReviewInfer
from sequal.anatomy.models import model_of
from sequal.files.imaging import read_frame
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture
from sequal.learning.quality.branched import new_branch
from sequal.prediction import checkpoint_payload, load_pair, predict_image, review_area
from sequal.study.state import StudyState, save_checkpoint
from unit.synthetic_study import SPACING_MM, band, settings, write_image

CPU = torch.device("cpu")


@pytest.fixture
def study(tmp_path):
    """A study as the server holds it; `with_branch(True)` puts a model with an error branch into service."""
    torch.manual_seed(1)
    pair = MeanTeacherPair(Architecture("unet", filters=4))

    def with_branch(wanted):
        pair.branch = new_branch(pair, 0) if wanted else None
        if wanted:
            with torch.no_grad():
                pair.branch.correct.bias.fill_(0.5)
        path = tmp_path / f"{wanted}.pt"
        save_checkpoint(path, checkpoint_payload(pair, {}))
        loaded = load_pair(path, CPU)
        served = SimpleNamespace(path=path, load=lambda: loaded)
        state = StudyState.open(tmp_path / "state", settings())
        return SimpleNamespace(
            settings=settings(), state=state, served=served, device=CPU, model=model_of(settings()), loaded=loaded
        )

    return with_branch


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "im.nii.gz", band(np.random.default_rng(0), frames=2)[0])


def test_it_gives_the_area_of_the_error_map_and_remembers_it(study, image):
    held = study(True)
    file, params = ReviewInfer(held)({"image": str(image), IMAGE_ID: "im"})
    error = predict_image(read_frame(image), held.loaded, held.settings, CPU).quality.error
    expected = review_area(error, (SPACING_MM, SPACING_MM))
    assert expected.any()
    found = np.asanyarray(nib.load(file).dataobj)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(held.state.reviewed.get("im"), expected)
    assert held.state.shown.get("im") is None  # what annotators start from is the mask, not this
    assert params["label_names"] == {"review": 1}
    assert params["predicted_dice"] is not None


def test_a_network_without_the_branch_is_answered_with_a_sentence(study, image):
    with pytest.raises(HTTPException) as told:
        ReviewInfer(study(False))({"image": str(image)})
    assert told.value.status_code == 400
    assert "error branch" in told.value.detail
    assert "quality_weight" in told.value.detail


def test_it_is_never_stored_as_a_label(study, image):
    with pytest.raises(HTTPException) as told:
        ReviewInfer(study(True))({"image": str(image), "save_label": True})
    assert told.value.status_code == 400
    assert "an area to look at" in told.value.detail
