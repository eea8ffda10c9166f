"""The transforms that travel with a bundle do what the app does."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.data import MetaTensor

from lib.exporting.bundle_scripts import FromWorkingGridd, ToWorkingGridd, working_size
from lib.exporting.bundle_scripts.working_grid import WorkingGridRule
from lib.exporting.metadata import working_grid_arguments
from lib.imaging import calibrate
from lib.imaging.working_grid import WorkingGrid

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
    expected = grid.pad(grid.image_to_working(image.numpy().reshape(shape[:2]))[None])
    torch.testing.assert_close(data["image"].as_tensor(), expected[0], rtol=0, atol=1e-6)
    assert all(side % 32 == 0 for side in data["image"].shape[1:])

    layer = torch.rand(expected.shape[1:], generator=torch.Generator().manual_seed(2))
    data["pred"] = torch.cat([1 - layer, layer])
    found = FromWorkingGridd("pred", "image", **arguments)(data)["pred"]
    assert found.shape == shape
    assert found.dtype == torch.uint8
    native = grid.to_native(grid.crop(layer[None])[0])[0] > 0.5
    np.testing.assert_array_equal(found.numpy().reshape(shape[:2]), native)
    np.testing.assert_array_equal(found.affine, image.affine)


def test_a_clip_is_refused_with_its_reason(model):
    with pytest.raises(ValueError, match="frames of a clip one by one"):
        ToWorkingGridd("image", **working_grid_arguments(model))({"image": _image((20, 10, 3), (0.06, 0.06))})
