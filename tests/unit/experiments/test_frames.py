import numpy as np
import pytest
from PIL import Image

import sequal.experiments.frames as frames_module
from sequal.anatomy.phantom import KINDS
from sequal.errors import SettingsError, StudyError
from sequal.experiments import Plan
from sequal.experiments.dataset import Dataset, prepare_dataset
from sequal.experiments.frames import find_sources, shrink
from sequal.experiments.overlap import dice
from sequal.experiments.readers import Readers
from sequal.experiments.sources import SourceFrame
from sequal.files.imaging import read_frame
from unit.experiments.miniature import make_images, options


def plan_of(images, **changes):
    return Plan.of(options(images, **changes))


def test_any_value_but_zero_is_the_layer(images):
    frame = find_sources(plan_of(images)).pool["f00"]()
    assert np.unique(frame.mask).tolist() == [0, 1]
    assert np.flatnonzero(frame.mask[5]).tolist() == list(range(20, 28))


def write_masks(folder, values):
    """PNG masks of 40 × 30 by image: the values that its first columns have."""
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for image, columns in values.items():
        mask = np.zeros((30, 40), np.uint8)
        for column, value in enumerate(columns):
            mask[10:20, column] = value
        Image.fromarray(mask).save(folder / "masks" / f"{image}.png")
        Image.fromarray(np.full((30, 40), 90, np.uint8)).save(folder / "images" / f"{image}.png")
    return {"images": str(folder / "images"), "masks": str(folder / "masks")}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"a": [1, 255]}, {"a": [1, 255, 0]}),
        ({"a": [0, 255], "b": [1, 0]}, {"a": [0, 255, 0], "b": [1, 0, 0]}),  # nothing but untraced columns in a
        ({"a": [255, 0], "b": [0, 255]}, {"a": [1, 0, 0], "b": [0, 1, 0]}),  # black and white
        ({"a": [3, 255], "b": [1, 0]}, {"a": [3, 255, 0], "b": [1, 0, 0]}),
        ({"a": [3, 128], "b": [3, 255]}, {"a": [1, 1, 0], "b": [1, 1, 0]}),
    ],
)
def test_255_is_not_traced_where_the_masks_of_the_folder_hold_classes(tmp_path, values, expected):
    given = write_masks(tmp_path, values)
    found = find_sources(Plan.of({**given, "start": 1, "rounds": 1, "test_fraction": 0.1, "splits": "seed"})).pool
    assert {image: found[image]().mask[:3, 15].tolist() for image in values} == expected


def test_each_seed_divides_the_patients_anew(tmp_path):
    images = make_images(tmp_path / "source", 12)
    rows = "".join(f"f{index:02d},p{index // 2}\n" for index in range(12))
    (tmp_path / "source" / "images" / "patients.csv").write_text(f"image,patient\n{rows}")
    plan = plan_of(images, splits="seed", test_fraction=0.5, start=1, budget=1)
    dataset = prepare_dataset(tmp_path / "data", plan)
    divided = [dataset.of_seed(seed, plan) for seed in range(6)]
    for one in divided:
        patients = [{frame.patient for frame in one.frames[split].values()} for split in ("pool", "test")]
        assert [len(found) for found in patients] == [3, 3]
        assert not patients[0] & patients[1]
        assert len(one.frames["pool"]) + len(one.frames["test"]) == 12
    assert len({tuple(one.frames["test"]) for one in divided}) > 3
    assert dataset.of_seed(0, plan).frames == divided[0].frames
    image = next(iter(divided[0].frames["test"]))
    assert divided[0].truth("test", image).any()
    assert read_frame(divided[0].item("test", image).image).grid == (96, 64, 1)
    with pytest.raises(SettingsError, match="the pool to hold 8 images"):
        dataset.of_seed(0, plan_of(images, splits="seed", test_fraction=0.5, start=7, budget=1))


def test_the_test_set_has_patients_of_its_own(tmp_path):
    images = make_images(tmp_path, 12)
    rows = "".join(f"f{index:02d},p{index // 3}\n" for index in range(12))
    (tmp_path / "images" / "patients.csv").write_text(f"image,patient\n{rows}")
    sources = find_sources(plan_of(images, test_fraction=0.25))
    patients = [{sources.patients[image] for image in split} for split in (sources.pool, sources.test)]
    assert (len(sources.pool), len(sources.test)) == (9, 3)
    assert not patients[0] & patients[1]


def test_a_separate_test_set_must_not_share_patients(tmp_path, images):
    other = make_images(tmp_path, 3)
    given = {"test_images": other["images"], "test_masks": other["masks"]}
    with pytest.raises(StudyError, match="no patient in both"):
        find_sources(plan_of(images, **given))
    for path in tmp_path.rglob("*.png"):
        path.rename(path.with_name(f"other-{path.name}"))
    sources = find_sources(plan_of(images, **given))
    assert (len(sources.pool), len(sources.test)) == (10, 3)


def test_an_image_without_a_mask_is_named(tmp_path):
    images = make_images(tmp_path, 6)
    (tmp_path / "masks" / "f03.png").unlink()
    with pytest.raises(StudyError, match="f03"):
        find_sources(plan_of(images))


def test_shrinking_keeps_the_size_in_millimetres():
    mask = np.zeros((96, 64), np.uint8)
    mask[:, 20:28] = 1
    frame = shrink(SourceFrame(np.full((96, 64), 7.0, np.float32), mask, (0.06, 0.1)), "48x48")
    assert frame.pixels.shape == (48, 32)
    assert frame.spacing_mm == pytest.approx((0.12, 0.2))
    assert np.allclose(frame.pixels, 7.0)
    assert np.flatnonzero(frame.mask[0]).tolist() == [10, 11, 12, 13]


def test_a_smaller_frame_is_left_alone():
    frame = SourceFrame(np.zeros((30, 20), np.float32), np.zeros((30, 20), np.uint8), None)
    assert shrink(frame, "48x48") is frame is shrink(frame, "")


def drawn_phantoms(monkeypatch, **plan):
    """Kind, depth of the scanner and first random number of every phantom, pool before test, and the first again."""
    drawn = []

    def simulate(rng, *, kind, scanner):
        drawn.append((kind, scanner.depth_mm, rng.random()))
        raise KeyError  # a whole frame takes a second

    monkeypatch.setattr(frames_module, "simulate_frame", simulate)
    sources = find_sources(Plan.of({"start": 2, **plan}))
    for read in [*sources.pool.values(), *sources.test.values(), sources.pool["pool-0000"]]:
        with pytest.raises(KeyError):
            read()
    return drawn


def test_phantoms_are_all_different_and_always_the_same(monkeypatch):
    drawn = drawn_phantoms(monkeypatch, phantom=200, phantom_test=7)
    assert drawn[0] == drawn[-1]
    assert len(set(drawn)) == 207


def test_kinds_and_scanners_are_rare_in_the_pool_and_balanced_in_the_test_set(monkeypatch):
    drawn = drawn_phantoms(monkeypatch, phantom=400, phantom_test=210)
    pool, test = drawn[:400], drawn[400:610]
    usual_depth = frames_module.SCANNERS["A"].depth_mm
    rare = [kind for kind in KINDS if kind != "ordinary"]
    for kind in rare:
        assert 8 <= sum(found == kind for found, _, _ in pool) <= 44  # 24 expected
    assert 0.55 < sum(found == "ordinary" for found, _, _ in pool) / 400 < 0.73
    assert 0.78 < sum(depth == usual_depth for _, depth, _ in pool) / 400 < 0.92
    assert [sum(found == kind for found, _, _ in test) for kind in KINDS] == [30] * 7
    assert 0.4 < sum(depth == usual_depth for _, depth, _ in test) / 210 < 0.6


def test_a_prepared_dataset_can_be_read_without_its_sources(tmp_path):
    images = make_images(tmp_path / "source")
    seen = []
    plan = plan_of(images, size="48x48")
    prepared = prepare_dataset(tmp_path / "e" / "data", plan, lambda *done: seen.append(done))
    assert seen == [(number, 10) for number in range(1, 11)]
    for path in (tmp_path / "source").rglob("*.png"):
        path.unlink()
    assert prepare_dataset(tmp_path / "e" / "data", plan).frames == prepared.frames
    opened = Dataset.open(tmp_path / "e" / "data")
    image = next(iter(opened.frames["pool"]))
    frame = opened.frames["pool"][image]
    assert frame.layer
    assert frame.spacing_mm is None
    assert frame.pixel_mm == (0.06, 0.06)
    assert not read_frame(opened.image("pool", image)).calibration.calibrated
    assert opened.truth("pool", image).shape == read_frame(opened.image("pool", image)).grid == (48, 32, 1)
    with Image.open(tmp_path / "e" / "thumbnails" / f"{image}.png") as picture:
        assert picture.size == (48, 32)


def test_readers_err_in_the_frame_as_it_was_before_it_was_shrunk(images, tmp_path):
    plan = plan_of(images, size="24x24", traced=(1, 1))
    dataset = prepare_dataset(tmp_path / "data", plan)
    ids = list(dataset.frames["pool"])
    agreement = []
    for image in ids:
        label = dataset.drawn_by(Readers(plan, seed=1), image)
        assert label.shape == dataset.truth("pool", image).shape == (24, 16, 1)
        agreement.append(dice(label, dataset.truth("pool", image), on=label))
    # The layer is two pixels high here, and an error half a pixel at most: rounded by itself it would often be none.
    assert 0.5 < np.mean(agreement) < 0.97
    exact = Readers(plan_of(images, size="24x24", traced=(1, 1), noise="none"), seed=1)
    assert np.array_equal(dataset.drawn_by(exact, ids[0]) == 1, dataset.truth("pool", ids[0]) == 1)


def test_a_stopped_preparation_goes_on(tmp_path, images, monkeypatch):
    read, calls = frames_module._read, []

    def stopping(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return read(*arguments)

    monkeypatch.setattr(frames_module, "_read", stopping)
    with pytest.raises(KeyboardInterrupt):
        prepare_dataset(tmp_path / "data", plan_of(images))
    prepared = prepare_dataset(tmp_path / "data", plan_of(images))
    assert len(prepared.frames["pool"]) + len(prepared.frames["test"]) == 10
    assert len(calls) == 11


def test_a_missing_list_of_frames_is_refused(tmp_path):
    with pytest.raises(StudyError, match="list the experiment's frames"):
        Dataset.open(tmp_path)
