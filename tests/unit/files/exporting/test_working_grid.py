"""The transforms that travel with a bundle do what the app does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from sequal.files.exporting.bundle_scripts import CleanMaskd, FromWorkingGridd, ToWorkingGridd, working_size
from sequal.files.exporting.bundle_scripts.working_grid import WorkingGridRule
from sequal.files.exporting.metadata import working_grid_arguments
from sequal.files.imaging import calibrate
from sequal.preparation.normalisation import normalise_intensity
from sequal.preparation.working_grid import WorkingGrid

SIDES = st.integers(1, 900)
PIXELS_MM = st.floats(0.004, 1.0)


def _rule(arguments):
    return WorkingGridRule(
        tuple(arguments["spacing_mm"]), tuple(arguments["credible_mm"]), arguments["max_pixels"], arguments["stride"]
    )


@given(SIDES, SIDES, PIXELS_MM, PIXELS_MM, st.sampled_from([1_000_000, 20_000]))
def test_the_working_grid_is_that_of_the_app(model, width, height, dx, dy, largest):
    rule = _rule({**working_grid_arguments(model), "max_pixels": largest})
    spacing = model.settings.working_spacing_mm
    expected = WorkingGrid.of((width, height), calibrate(dx, dy, "x"), spacing, largest)
    assert working_size((width, height), (dx, dy), rule) == expected.working


def _image(shape, pixel_mm):
    pixels = torch.from_numpy(np.random.default_rng(1).random(shape, np.float32))
    affine = torch.diag(torch.tensor([-pixel_mm[0], -pixel_mm[1], 1.0, 1.0], dtype=torch.float64))
    return MetaTensor(pixels[None], affine=affine, meta={"spatial_shape": np.array(shape)})


@pytest.mark.parametrize("shape", [(120, 90), (120, 90, 1)])
@pytest.mark.parametrize("pixel_mm", [(0.09, 0.05), (1.0, 1.0)])
def test_there_and_back_as_in_the_app(model, shape, pixel_mm):
    arguments = working_grid_arguments(model)
    image = _image(shape, pixel_mm)
    grid = WorkingGrid.of(shape[:2], calibrate(*pixel_mm, "x"), model.settings.working_spacing_mm, 1_000_000)
    data = ToWorkingGridd("image", **arguments)({"image": image})
    pixels = normalise_intensity(image.numpy().reshape(shape[:2]))
    expected = grid.pad(grid.image_to_working(pixels).half().float()[None])
    assert torch.equal(data["image"].as_tensor(), expected[0])
    assert all(side % 32 == 0 for side in data["image"].shape[1:])

    logits = torch.randn((2, *expected.shape[2:]), generator=torch.Generator().manual_seed(2))
    data["pred"] = logits
    found = FromWorkingGridd("pred", "image", **arguments)(data)["pred"]
    assert found.shape == shape
    assert found.dtype == torch.float32
    layer = torch.log_softmax(grid.crop(logits[None]), dim=1)[:, 1].exp()
    np.testing.assert_array_equal(found.numpy().reshape(shape[:2]), grid.to_native(layer)[0])
    np.testing.assert_array_equal(found.affine, image.affine)


@pytest.mark.parametrize(("min_piece_mm", "kept"), [(2.0, [True, False]), (0.0, [True, True])])
def test_a_speck_is_left_out_unless_every_piece_stays(min_piece_mm, kept):
    layer = torch.zeros(120, 90, 1)
    layer[:, 60:68] = layer[60:64, 80:84] = 0.9
    frame = _image((120, 90, 1), (0.09, 0.05))
    data = {"pred": MetaTensor(layer, meta=frame.meta), "frame": frame}
    mask = CleanMaskd(
        "pred", "frame", min_piece_mm, labelled_lumen=0.0, shortest_mm=12.0, pixel_mm=0.06, credible_mm=(0.005, 0.5)
    )(data)["pred"]
    assert mask.dtype == torch.uint8
    assert [bool(mask[62, row, 0]) for row in (64, 82)] == kept
