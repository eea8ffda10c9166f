"""Series of CT, MR and PET as volumes: in their right order and place, or refused."""

import numpy as np

import ct
from sequal.files.imaging.volume_series import read_volume_series


def test_a_shuffled_oblique_series_is_the_volume(tmp_path):
    volume = ct.phantom()
    read = read_volume_series(ct.write(tmp_path, ct.series(volume)))
    np.testing.assert_array_equal(read.pixels, volume.values)
    np.testing.assert_allclose(read.affine, volume.affine, atol=1e-4)
    assert read.pixels.dtype == np.int16
