import nibabel as nib
import numpy as np
import pytest
import torch

from lib.datastores import LabelGuard
from sequal.anatomy.models import MODELS, model_of
from sequal.anatomy.phantom.volumes import BODY_LABELS, draw_body, simulate_volume
from sequal.errors import CheckpointError, ImageError, LabelError, SettingsError, StudyError
from sequal.files.imaging import read_frame
from sequal.learning.methods import METHODS
from sequal.learning.training import run_round
from sequal.prediction import check_fits, groups_of_one_grid, load_pair, predict_image
from sequal.prediction.passes import in_windows
from sequal.preparation.augmentation import IMAGE, LABEL
from sequal.preparation.volume_grid import VolumeGrid
from sequal.preparation.working_frames import WorkingFrames
from sequal.settings import MODEL_NAMES, Settings
from sequal.study.items import Item
from sequal.study.state import StudyState, load_checkpoint
from sequal.study.volume_plan import with_plan

CPU = torch.device("cpu")
SHAPE = (24, 24, 20)


def chosen(**changes):
    values = {
        "models": "volume",
        "labels": "left atrium,aorta",
        "volume_spacing": "4,4,4",
        "volume_patch": "32,32,32",
        "device": "cpu",
        "epochs": "1",
        "iterations_per_epoch": "2",
        "batch_labelled": "1",
        **changes,
    }
    return Settings.from_conf(values)


def write(path, array, affine):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Two patients by two scanners, the first volume of each labelled: (labelled items, unlabelled items, truths)."""
    folder, items, truths = tmp_path_factory.mktemp("volumes"), [], {}
    for patient in range(2):
        rng = np.random.default_rng(patient)
        body = draw_body(rng, "heart")
        for scanner in ("ct", "mr"):
            found = simulate_volume(rng, body, scanner, SHAPE)
            name = f"p{patient}_{scanner}"
            image = write(folder / f"{name}.nii.gz", found.voxels, found.affine)
            label = write(folder / "labels" / f"{name}.nii.gz", found.truth, found.affine) if scanner == "ct" else None
            items.append(Item(name, image, label, f"p{patient}"))
            truths[name] = found.truth
    return [item for item in items if item.label], [item for item in items if not item.label], truths


def test_every_file_of_the_room_is_a_model_under_its_own_name():
    assert tuple(MODELS) == MODEL_NAMES == ("carotid", "volume")
    assert all(model.name == name for name, model in MODELS.items())


def test_labels_are_numbered_in_the_order_of_the_setting():
    assert dict(model_of(chosen()).labels) == {"left atrium": 1, "aorta": 2} == BODY_LABELS["heart"]
    assert model_of(chosen(labels="left_atrium")).labels == {"left atrium": 1}
    with pytest.raises(SettingsError, match="Expected `labels` to name what is segmented"):
        _ = model_of(chosen(labels="")).labels


@pytest.mark.parametrize("method", METHODS)
def test_a_round_learns_publishes_and_scores(tmp_path, volumes, method):
    labelled, unlabelled, truths = volumes
    state = StudyState.open(tmp_path / "state", chosen())
    settings = chosen(method=method, second_network="dynunet")
    report = run_round(labelled, unlabelled, state, settings)
    assert report.published, report.reason
    assert (report.trained_on, report.pld["scored"]) == (2, 2)
    loaded = load_pair(state.published, CPU)
    assert (loaded.model, loaded.pair.method) == ("volume", method)
    check_fits(loaded, settings, "it")
    for item in (*labelled, *unlabelled):
        frame = read_frame(item.image)
        found = predict_image(frame, loaded, settings, CPU)
        assert found.mask.shape == truths[item.id].shape
        assert set(np.unique(found.mask)) <= {0, 1, 2}
        assert model_of(settings).report(found.shown, frame)["volumes_ml"].keys() == {"left atrium", "aorta"}
        assert found.pld >= 0
    again = run_round(labelled, unlabelled, state, settings)
    assert load_checkpoint(state.checkpoint_of(2)).meta["iterations"] == 4
    assert again.round == 2


def test_a_window_gives_what_the_whole_volume_gives(volumes, tmp_path):
    labelled, unlabelled, _ = volumes
    state = StudyState.open(tmp_path / "state", chosen())
    run_round(labelled, unlabelled, state, chosen())
    loaded, frame = load_pair(state.published, CPU), read_frame(labelled[0].image)
    whole = predict_image(frame, loaded, chosen(volume_spacing="3,3,3", volume_patch="64,64,64"), CPU)
    windows = predict_image(frame, loaded, chosen(volume_spacing="3,3,3", volume_patch="32,32,32"), CPU)
    assert np.mean(whole.mask == windows.mask) > 0.8  # not the same: a window sees less around it


def test_where_a_volume_is_narrower_than_a_window_its_border_goes_on():
    """As in the patches of the training, which never show black beside a bright border."""
    grid = VolumeGrid.of((48, 48, 16), np.eye(4), (1, 1, 1), (32, 32, 48), 16)
    seen = []

    def network(x):
        seen.append((tuple(x.shape[2:]), x.min().item()))
        return x.clone()

    in_windows(network, torch.ones(1, 1, 48, 48, 16), grid)
    assert set(seen) == {((32, 32, 48), 1.0)}


@pytest.mark.parametrize(
    ("labels", "mirrored"),
    [
        ("left_atrium,aorta", True),
        ("left_kidney,right_kidney", False),
        ("liver,Kidney_R,Kidney_L", False),
        ("linke_Lunge,rechte_Lunge", False),
        ("kidney_(left),kidney_(right)", False),
        ("LV,RV", True),
    ],
)
def test_volumes_are_mirrored_unless_that_makes_left_right(labels, mirrored):
    geometry = model_of(chosen(labels=labels)).geometry(on_structure=False).set_random_state(0)
    voxels = torch.linspace(0, 1, 32).view(1, 32, 1, 1).expand(1, 32, 32, 32).contiguous()
    found = [geometry({IMAGE: voxels, LABEL: torch.zeros(1, 32, 32, 32)})[IMAGE] for _ in range(12)]
    assert any(bool(one[0, 2, 16, 16] > one[0, 29, 16, 16]) for one in found) == mirrored


def test_a_volume_that_would_become_too_large_is_left_out(tmp_path):
    """Of one much coarser than the others, the working grid would take all memory."""
    path = write(tmp_path / "coarse.nii.gz", np.zeros((50, 50, 40), np.int16), np.diag([8.0, 8.0, 8.0, 1.0]))
    words = "coarse.nii.gz` to have at most 100000000 voxels of 0.5,0.5,0.5 mm .* got 800 x 800 x 640"
    with pytest.raises(ImageError, match=words):
        model_of(chosen(volume_spacing="0.5,0.5,0.5")).prepare(read_frame(path))


def _label_of(volumes, values, tmp_path):
    (item, _), _, _ = volumes
    frame = read_frame(item.image)
    path = write(tmp_path / "label.nii.gz", np.full(frame.grid, values, np.uint8), frame.affine)
    return path, model_of(chosen()).prepare(read_frame(item.image))


@pytest.mark.parametrize("axes", [(), (1,), (1, 1)])
@pytest.mark.parametrize("codes", ["RAS", "LAS", "RPS", "SLA"])
def test_a_label_that_lies_on_its_volume_in_another_order_is_turned(codes, axes, tmp_path):
    """As programs write it that turn a volume before they segment it."""
    rng = np.random.default_rng(0)
    affine = np.array([[-2.0, 0.1, 0, 40], [0.1, 2.0, 0, -30], [0, 0, 3, 7], [0, 0, 0, 1]])
    image = nib.Nifti1Image(rng.normal(size=(20, 18, 16)).astype(np.float32), affine)
    truth = rng.integers(0, 3, image.shape, np.uint8)
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(affine), nib.orientations.axcodes2ornt(codes)
    )
    nib.save(image, tmp_path / "image.nii.gz")
    turned = nib.Nifti1Image(truth, affine).as_reoriented(turn)
    write(tmp_path / "label.nii.gz", np.asarray(turned.dataobj).reshape(*turned.shape, *axes), turned.affine)
    model = model_of(chosen())
    found = model.read_label(tmp_path / "label.nii.gz", model.prepare(read_frame(tmp_path / "image.nii.gz")))
    np.testing.assert_array_equal(found, truth)
    guard = LabelGuard(StudyState.open(tmp_path / "state", chosen()), chosen())
    np.testing.assert_array_equal(guard.read("image", tmp_path / "image.nii.gz", tmp_path / "label.nii.gz")[1], truth)


@pytest.mark.parametrize("affine", [np.eye(4), np.diag([-2.0, -2.0, 3.0, 1.0])])
def test_of_a_label_that_lies_elsewhere_the_order_of_its_voxels_counts(affine, tmp_path):
    truth = np.random.default_rng(0).integers(0, 3, (20, 18, 16), np.uint8)
    write(tmp_path / "image.nii.gz", truth.astype(np.float32), np.diag([2.0, 2.0, 3.0, 1.0]))
    label = write(tmp_path / "label.nii.gz", truth, affine)
    model = model_of(chosen())
    np.testing.assert_array_equal(model.read_label(label, model.prepare(read_frame(tmp_path / "image.nii.gz"))), truth)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_of_a_label_whose_place_is_none_the_order_of_its_voxels_counts(value, tmp_path):
    truth = np.random.default_rng(0).integers(0, 3, (20, 18, 16), np.uint8)
    image = write(tmp_path / "image.nii.gz", truth.astype(np.float32), np.diag([-2.0, 2.0, 3.0, 1.0]))
    label = nib.Nifti1Image(truth, np.diag([2.0, 2.0, 3.0, 1.0]))
    label.header["srow_x"][0] = value
    nib.save(nib.Nifti1Image(truth, None, label.header), tmp_path / "label.nii.gz")
    guard = LabelGuard(StudyState.open(tmp_path / "state", chosen()), chosen())
    np.testing.assert_array_equal(guard.read("image", image, tmp_path / "label.nii.gz")[1], truth)


def test_a_value_outside_the_map_is_named(volumes, tmp_path):
    path, frame = _label_of(volumes, 7, tmp_path)
    with pytest.raises(LabelError, match=r"1 left atrium, 2 aorta, got \[7\] as well"):
        model_of(chosen()).read_label(path, frame)


def test_nothing_but_unknown_voxels_is_no_label_and_an_empty_one_is(volumes, tmp_path):
    path, frame = _label_of(volumes, 255, tmp_path)
    with pytest.raises(LabelError, match="to show one of left atrium, aorta or to be empty throughout"):
        model_of(chosen()).read_label(path, frame)
    path, frame = _label_of(volumes, 0, tmp_path)
    assert not model_of(chosen()).read_label(path, frame).any()


def test_a_class_that_is_missing_from_all_labels_stays_out_of_the_masks_without_an_error(volumes, tmp_path):
    labelled, unlabelled, _ = volumes
    state = StudyState.open(tmp_path / "state", chosen())
    settings = chosen(labels="left atrium,aorta,vein")
    assert run_round(labelled, unlabelled, state, settings).trained_on == 2
    frame = read_frame(labelled[0].image)
    found = predict_image(frame, load_pair(state.published, CPU), settings, CPU)
    assert model_of(settings).report(found.shown, frame)["volumes_ml"].keys() == {"left atrium", "aorta", "vein"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volume_patch": "16,16,16"}, r"16 voxels or more.*got 16,16,16\. Add --conf volume_patch 32,32,16"),
        ({"second_network": "flexible_unet", "volume_patch": "64,64,16"}, r"32 voxels or more.*volume_patch 64,64,32"),
    ],
)
def test_a_patch_of_which_a_network_makes_one_value_is_refused(volumes, changes, words):
    with pytest.raises(SettingsError, match=words):
        model_of(chosen(**changes)).prepare(read_frame(volumes[0][0].image))


def test_a_study_of_tiny_volumes_gets_a_patch_that_networks_can_learn_from(tmp_path):
    path = write(tmp_path / "tiny.nii.gz", np.zeros((12, 10, 8), np.int16), np.eye(4))
    planned = with_plan(chosen(volume_spacing="auto", volume_patch="auto"), [path], tmp_path / "plan.json")
    assert planned.volume_patch == "32,16,16"
    assert model_of(planned).prepare(read_frame(path)).grid.working == (12, 10, 8)


def test_volumes_are_scored_one_by_one(tmp_path):
    """Of a large one the networks' answers take gigabytes."""
    items = [Item(name, write(tmp_path / f"{name}.nii.gz", np.zeros((8, 8, 8)), np.eye(4))) for name in "ab"]
    assert [len(group) for group in groups_of_one_grid(items, WorkingFrames(chosen()))] == [1, 1]


@pytest.mark.parametrize("size", [0.02, 30.0])
def test_a_study_of_the_finest_or_the_coarsest_voxels_starts_again(size, tmp_path):
    path = write(tmp_path / "a.nii.gz", np.zeros((20, 20, 8), np.int16), np.diag([size, size, size, 1.0]))
    auto = chosen(volume_spacing="auto", volume_patch="auto")
    planned = with_plan(auto, [path], tmp_path / "plan.json")
    assert planned.volume_spacing_mm == pytest.approx((size,) * 3)
    assert with_plan(auto, [path], tmp_path / "plan.json") == planned


def test_volumes_of_other_spacing_axes_and_shape_are_learnt_together(tmp_path):
    """One of cubes, one of eight times thicker slices that is stored from head to foot and from left to right."""
    items = []
    for name, shape, sizes in (("cubes", (24, 24, 24), (4, 4, 4)), ("slices", (6, 30, 28), (-16, 3, 3))):
        affine = np.diag([*sizes, 1.0])[[1, 2, 0, 3]] if name == "slices" else np.diag([*sizes, 1.0])
        label = np.zeros(shape, np.uint8)
        label[tuple(slice(side // 3, 2 * side // 3) for side in shape)] = 1
        image = write(tmp_path / f"{name}.nii.gz", (label * 100).astype(np.int16), affine)
        items.append(Item(name, image, write(tmp_path / "labels" / f"{name}.nii.gz", label, affine), name))
    settings = chosen()
    state = StudyState.open(tmp_path / "state", settings)
    assert run_round(items, [], state, settings).trained_on == 2
    loaded = load_pair(state.published, CPU)
    for item in items:
        frame = read_frame(item.image)
        found = predict_image(frame, loaded, settings, CPU)
        assert found.mask.shape == frame.grid == nib.load(item.image).shape


def test_one_slice_is_no_volume(tmp_path):
    path = write(tmp_path / "slice.nii.gz", np.zeros((20, 20, 1), np.int16), np.eye(4))
    with pytest.raises(ImageError, match="a volume of at least 4 slices along each axis, got 20 x 20 x 1"):
        model_of(chosen()).prepare(read_frame(path))


def test_a_checkpoint_of_another_model_or_of_other_labels_is_refused(volumes, tmp_path):
    labelled, unlabelled, _ = volumes
    state = StudyState.open(tmp_path / "state", chosen())
    run_round(labelled, unlabelled, state, chosen())
    checkpoint = load_checkpoint(state.published)
    with pytest.raises(CheckpointError, match="of the models 'carotid', got 'volume'"):
        check_fits(checkpoint, Settings(), "c.pt")
    with pytest.raises(CheckpointError, match="of the labels 'liver,spleen', got 'left atrium,aorta'"):
        check_fits(checkpoint, chosen(labels="liver,spleen"), "c.pt")
    with pytest.raises(CheckpointError, match=r"of the volume_spacing '1,1,1', got '.*'\. Set `volume_spacing` to"):
        check_fits(checkpoint, chosen(volume_spacing="1,1,1"), "c.pt")


def test_the_plan_is_the_studys_median_and_is_kept(volumes, tmp_path):
    labelled, unlabelled, _ = volumes
    files = [item.image for item in (*labelled, *unlabelled)]
    auto = chosen(volume_spacing="auto", volume_patch="auto")
    looked = with_plan(auto, files, tmp_path / "plan.json", keep=False)
    assert not (tmp_path / "plan.json").exists()
    planned = with_plan(auto, files, tmp_path / "plan.json")
    assert looked == planned
    assert all(side % 16 == 0 and side <= 96 for side in planned.volume_patch_voxels)
    assert all(0.5 < size < 15 for size in planned.volume_spacing_mm)
    assert with_plan(auto, [], tmp_path / "plan.json") == planned
    given = chosen(volume_spacing="2,2,2", volume_patch="auto")
    assert with_plan(given, [], tmp_path / "plan.json").volume_spacing == "2,2,2"
    with pytest.raises(SettingsError, match="at least one volume to take `volume_spacing`"):
        with_plan(auto, [], tmp_path / "none.json")
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(StudyError, match="to hold the voxel and the patch"):
        with_plan(auto, files, tmp_path / "plan.json")
    assert with_plan(Settings(), [], tmp_path / "none.json") == Settings()
