import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.anatomy.measurement import boundaries_from_mask
from sequal.errors import LabelError
from sequal.files.importing.profiles import mask_between, read_profile
from unit.files.importing.sources import profile, write_profile

GRID = (48, 40, 1)


@pytest.mark.parametrize("layout", ["rows", "pairs"])
def test_both_layouts_give_the_same_points(tmp_path, layout):
    points = profile(19.5, slope=0.1)
    np.testing.assert_allclose(read_profile(write_profile(tmp_path / "a-LI.txt", points, layout)), points)


def test_separators_and_order_do_not_matter(tmp_path):
    path = tmp_path / "a-LI.txt"
    path.write_text("3,7\n1;5\n\n2\t6\n2 8\n")
    assert read_profile(path).tolist() == [[1, 5], [2, 7], [3, 7]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n4 5\n", r"line 2 of `a-LI\.txt` to hold 3 numbers"),
        ("1 2\n3 4\nx y\n", r"line 3 of `a-LI\.txt` to hold finite numbers"),
        ("1 2\n3 nan\n5 6\n", r"line 2 of `a-LI\.txt` to hold finite"),
        ("1 2 3\n4 5 6\n7 8 9\n", r"line 1 of `a-LI\.txt` to hold one x y pair"),
        ("1 2\n3 4\n", "at least 3 points, got 2"),
        ("", "at least 3 points, got 0"),
        ("5 1\n5 2\n5 3\n", "several columns"),
    ],
)
def test_anything_else_is_refused_by_file_and_line(tmp_path, text, message):
    path = tmp_path / "a-LI.txt"
    path.write_text(text)
    with pytest.raises(LabelError, match=message):
        read_profile(path)


@pytest.mark.parametrize(
    "text",
    [
        "60,00 61,50 62,00\n19,25 19,50 20,00\n",
        "60,00;61,50;62,00\r\n19,25;19,50;20,00\r\n",
        "60,00\t19,25\n61,50\t19,50\n62,00\t20,00\n",
        "60 19,25\n61,50 19,50\n62 20\n",
        "60.00, 61.50, 62.00\n19.25, 19.50, 20.00\n",
        "60.00,19.25\r61.50,19.50\r62.00,20.00\r",
        "60.00;19.25\r\n61.50;19.50\n62.00;20.00\r",
        "60;19.25;\n61.50;19.50;\n62.00;20.00;\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_numbers_are_read_as_whatever_program_wrote_them(tmp_path, text, encoding):
    path = tmp_path / "a-LI.txt"
    path.write_bytes(text.encode(encoding))
    assert read_profile(path).tolist() == [[60, 19.25], [61.5, 19.5], [62, 20]]


@pytest.mark.parametrize("text", ["998 1,000 1,002\n19 19 19\n", "1.060,5 1.061,5 1.062,5\n19,5 19,5 19,5\n"])
def test_numbers_that_can_be_read_in_two_ways_are_refused(tmp_path, text):
    path = tmp_path / "a-LI.txt"
    path.write_text(text)
    with pytest.raises(LabelError, match="both ways"):
        read_profile(path)


def test_whole_numbers_with_commas_between_are_pairs(tmp_path):
    path = tmp_path / "a-LI.txt"
    path.write_text("60,19\n61,20\n62,21\n")
    assert read_profile(path).tolist() == [[60, 19], [61, 20], [62, 21]]


def test_binary_content_is_refused(tmp_path):
    path = tmp_path / "a-LI.txt"
    path.write_bytes(b"\x81\xfe\x00\x81")
    with pytest.raises(LabelError, match=r"`a-LI\.txt` to be a text file"):
        read_profile(path)


def test_the_mask_by_hand():
    # LI at 1.5 and MA at 4: rows 2 and 3; the columns 1 to 3 are common, 0 and 4 unknown.
    li = np.array([[0.0, 1.5], [3.0, 1.5]])
    ma = np.array([[1.0, 4.0], [4.0, 4.0]])
    label = mask_between(li, ma, (5, 6, 1))
    assert label.shape == (5, 6, 1)
    for column in (1, 2, 3):
        assert label[column, :, 0].tolist() == [0, 0, 1, 1, 0, 0]
    assert (label[[0, 4]] == 255).all()


@given(
    top=st.floats(5, 15),
    thickness=st.floats(2, 12),
    slope=st.floats(-0.1, 0.1),
    step=st.integers(1, 9),
)
def test_the_mask_reads_back_within_half_a_pixel(top, thickness, slope, step):
    li = profile(top, (4, 44), slope)[::step]
    ma = profile(top + thickness, (4, 44), slope)[::step]
    found = boundaries_from_mask(mask_between(li, ma, GRID)[:, :, 0])
    columns = np.arange(4, int(li[-1, 0]) + 1)
    expected = top + slope * (columns - 4)
    assert found.measured.sum() == columns.size
    assert np.abs(found.li[columns] - expected).max() <= 0.5 + 1e-6
    assert np.abs(found.ma[columns] - expected - thickness).max() <= 0.5 + 1e-6


def test_a_column_without_a_pixel_between_the_boundaries_is_unknown():
    li, ma = profile(10.2), profile(16.0)
    ma[ma[:, 0] == 20, 1] = 10.6
    label = mask_between(li, ma, GRID)
    assert (label[20] == 255).all()
    assert (label[10] == 1).sum() == 5


@pytest.mark.parametrize(
    ("li", "ma", "message"),
    [
        (profile(25.0), profile(19.0), "MA to lie below LI"),
        (profile(10.0, (0, 10)), profile(15.0, (20, 30)), "share columns"),
        (profile(10.0, (0, 49)), profile(15.0), r"within the image of 48 x 40 pixels, got the point \(49, 10\)"),
        (profile(10.0), profile(60.0), "MA to lie within"),
    ],
)
def test_profiles_of_another_image_are_refused(li, ma, message):
    with pytest.raises(LabelError, match=message):
        mask_between(li, ma, GRID)


def test_profiles_of_a_clip_are_refused():
    with pytest.raises(LabelError, match="single frame"):
        mask_between(profile(10.0), profile(15.0), (48, 40, 3))
