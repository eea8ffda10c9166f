from pathlib import Path

import pytest
import torch

from sequal.files.imaging import read_frame
from sequal.learning.methods import METHODS
from sequal.prediction import check_fits, load_pair, predict_image
from sequal.settings import Settings
from sequal.study.starting_weights import starting_weights

REPOSITORY = Path(__file__).parents[3]
CPU = torch.device("cpu")


@pytest.mark.parametrize("method", METHODS)
def test_a_study_of_either_method_starts_from_weights_that_know_where_they_are_wrong(method):
    settings = Settings(method=method)
    file = starting_weights(REPOSITORY / "apps" / "sequal", settings)
    assert file.stat().st_size < 10e6
    loaded = load_pair(file, CPU)
    check_fits(loaded, settings, file.name)
    found = predict_image(read_frame(REPOSITORY / "sample-data" / "p01_f1.nii.gz"), loaded, settings, CPU)
    assert found.mask.sum() > 1000
    assert found.quality.predicted_dice > 0.7
