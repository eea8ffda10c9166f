"""The area `review` never becomes a label, in any form in which a viewer submits it."""

import nibabel as nib
import nrrd
import numpy as np
import pytest

from lib.datastores import LabelGuard
from sequal.errors import LabelError
from sequal.settings import Settings
from sequal.study.state import StudyState
from unit.synthetic_study import band, settings

SHAPE = (12, 9, 1)
LAYER = np.zeros(SHAPE, np.uint8)
LAYER[2:9, 3:6] = 1
#: Over the lower boundary, in columns 4 to 6.
AREA = np.zeros(SHAPE, np.uint8)
AREA[4:7, 5:8] = 1
NAMED = [{"name": "intima-media", "idx": 1}, {"name": "review", "idx": 2}]


@pytest.fixture
def state(tmp_path):
    return StudyState.open(tmp_path / "state", settings())


@pytest.fixture
def image(tmp_path):
    pixels, _ = band(np.random.default_rng(0), SHAPE[:2], top=3, thickness=3)
    nib.save(nib.Nifti1Image(pixels.astype(np.uint8), np.eye(4)), tmp_path / "im.nii.gz")
    return tmp_path / "im.nii.gz"


def ohif(folder, values, segments):
    """The bare bytes of its labelmap, and the names of its table beside them."""
    (folder / "label.bin").write_bytes(values.tobytes(order="F"))
    return folder / "label.bin", {"label_info": [{**one, "model_name": "carotid"} for one in segments]}


def slicer_labelmap(folder, values, segments):
    """A labelmap as `.nii.gz`: segments are numbered in their order, whatever `idx` the plugin sends."""
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "label.nii.gz")
    return folder / "label.nii.gz", {"label_info": segments}


def slicer_segmentation(folder, values, segments):
    """A `.seg.nrrd` of one layer, with the names in the file."""
    header = {"kinds": ["domain"] * 3}
    for number, one in enumerate(segments):
        header |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": one["name"],
            f"Segment{number}_Layer": "0",
            f"Segment{number}_LabelValue": str(one["idx"]),
        }
    nrrd.write(str(folder / "label.seg.nrrd"), values, header)
    return folder / "label.seg.nrrd", {"label_info": segments}


FORMS = [ohif, slicer_labelmap, slicer_segmentation]


def stored(state, image, file, info, how=None):
    with LabelGuard(state, how or settings()).checked("im", image, file, info) as checked:
        return np.asarray(nib.load(checked.file).dataobj).copy()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["review", "Review", " REVIEW "])
def test_a_label_in_which_only_review_is_drawn_is_refused(tmp_path, state, image, form, name):
    for number, segments in ((1, [{"name": name, "idx": 1}]), (2, [NAMED[0], {"name": name, "idx": 2}])):
        file, info = form(tmp_path, AREA * np.uint8(number), segments)
        with pytest.raises(LabelError, match="was not accepted"):
            stored(state, image, file, info)
    reasons = [path.read_text() for path in (state.root / "rejected").glob("*.json")]
    assert len(reasons) == 2


@pytest.mark.parametrize("form", FORMS)
def test_beside_a_label_of_one_layer_it_is_unknown_and_no_hole(tmp_path, state, image, form):
    """Such a file has one value a pixel: nobody knows whether the layer is below the area."""
    values = np.where(AREA == 1, 2, LAYER).astype(np.uint8)
    found = stored(state, image, *form(tmp_path, values, NAMED))
    np.testing.assert_array_equal(found == 1, (LAYER == 1) & (AREA == 0))
    np.testing.assert_array_equal(found == 255, AREA == 1)


def test_in_layers_of_its_own_it_is_dropped_and_the_label_is_whole(tmp_path, state, image):
    layers = np.stack([LAYER, AREA])
    header = {"kinds": ["list", "domain", "domain", "domain"]}
    for number, name in enumerate(("intima-media", "review")):
        header |= {
            f"Segment{number}_ID": f"Segment_{number + 1}",
            f"Segment{number}_Name": name,
            f"Segment{number}_Layer": str(number),
            f"Segment{number}_LabelValue": "1",
        }
    nrrd.write(str(tmp_path / "label.seg.nrrd"), layers, header)
    found = stored(state, image, tmp_path / "label.seg.nrrd", {"label_info": NAMED})
    np.testing.assert_array_equal(found, LAYER)


def test_an_area_that_comes_back_without_its_name_is_known_by_its_pixels(tmp_path, state, image):
    file, _ = slicer_labelmap(tmp_path, AREA, [])
    np.testing.assert_array_equal(stored(state, image, file, {}), AREA)  # nothing was given out yet
    state.reviewed.put("im", AREA)
    with pytest.raises(LabelError, match="one to look at"):
        stored(state, image, file, {})
    file, _ = slicer_labelmap(tmp_path, LAYER, [])
    np.testing.assert_array_equal(stored(state, image, file, {}), LAYER)
    state.reviewed.put("im", np.zeros_like(AREA))  # nothing was wrong: an empty label says that there is no layer
    file, _ = slicer_labelmap(tmp_path, np.zeros_like(AREA), [])
    assert not stored(state, image, file, {}).any()


def test_in_volumes_it_is_left_out_whatever_its_place_among_the_labels(tmp_path, state):
    how = Settings.from_conf({"models": "volume", "labels": "liver,spleen"})
    voxels = np.random.default_rng(0).random((8, 8, 8)).astype(np.float32)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "volume.nii.gz")
    values = np.zeros((8, 8, 8), np.uint8)
    values[1:3], values[4:6], values[6, 6] = 1, 3, 2
    names = [{"name": name, "idx": number} for number, name in enumerate(("liver", "review", "spleen"), start=1)]
    found = stored(state, tmp_path / "volume.nii.gz", *ohif(tmp_path, values, names), how)
    assert (found[1:3] == 1).all()
    assert (found[4:6] == 2).all()
    assert (found[6, 6] == 255).all()
    file, info = ohif(tmp_path, (values == 2).astype(np.uint8), [{"name": "review", "idx": 1}])
    with pytest.raises(LabelError, match="was not accepted"):
        stored(state, tmp_path / "volume.nii.gz", file, info, how)
