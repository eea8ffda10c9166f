import numpy as np

from sequal.prediction import review_area


def test_the_area_is_what_is_expected_to_be_wrong_without_specks():
    error = np.zeros((20, 20, 2), np.float32)
    error[2:7, 2:7, 0] = 0.4  # 25 pixels of 0.06 mm: 0.09 mm², just large enough
    error[10:14, 10:16, 0] = 0.9  # 24 pixels
    error[:, 18:, 1] = 0.29
    area = review_area(error, (0.06, 0.06))
    assert area.dtype == np.uint8
    expected = np.zeros_like(area)
    expected[2:7, 2:7, 0] = 1
    np.testing.assert_array_equal(area, expected)


def test_neighbours_by_a_corner_are_one_area_and_frames_of_a_clip_are_not_joined():
    error = np.zeros((8, 8, 2), np.float32)
    error[:3, :2, 0] = error[3:6, 2:3, 0] = 0.8  # nine pixels of 0.1 mm, joined at a corner
    error[:3, :2, 1] = 0.8  # six pixels, beside six of the frame before
    area = review_area(error, (0.1, 0.1))
    assert area[:, :, 0].sum() == 9
    assert not area[:, :, 1].any()


def test_a_volume_is_looked_at_as_a_whole():
    error = np.zeros((6, 6, 6), np.float32)
    error[:4, :4, :4] = 0.5
    error[5, 5, 5] = 0.5
    area = review_area(error, (1.0, 1.0, 1.0))
    assert area.sum() == 64
    assert not review_area(error, (0.5, 0.5, 0.5)).any()
    assert not review_area(np.zeros((4, 4, 4), np.float32), (1.0, 1.0, 1.0)).any()
