import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sequal.errors import StudyError
from sequal.study.state import Split, freeze_split


def study(patients, images_each=2):
    return {f"{patient}-{n}": f"{patient}" for patient in patients for n in range(images_each)}


@pytest.mark.parametrize(
    ("patients", "fraction", "count"), [(2, 0.2, 1), (3, 0.5, 2), (10, 0.2, 2), (10, 0.04, 1), (2, 0.5, 1)]
)
def test_number_of_patients(tmp_path, patients, fraction, count):
    labelled = study(range(patients))
    split = freeze_split(tmp_path / "split.json", labelled, fraction, 0)
    assert len(split.patients) == count
    assert split.images == {image for image, patient in labelled.items() if patient in split.patients}


def test_first_choice_holds_whatever_comes_later(tmp_path):
    path = tmp_path / "split.json"
    first = freeze_split(path, study("abcde"), 0.4, 0)
    content = path.read_bytes()
    for labelled, fraction, seed in [(study("abcdefgh", 3), 0.5, 9), ({}, 0.2, 0), (study("x"), 0, 0)]:
        assert freeze_split(path, labelled, fraction, seed) == first
    assert path.read_bytes() == content
    assert Split.load(path) == first


@pytest.mark.parametrize(("labelled", "fraction"), [({}, 0.2), (study("a", 9), 0.2), (study("abc"), 0.0)])
def test_nothing_to_choose_is_not_recorded(tmp_path, labelled, fraction):
    path = tmp_path / "split.json"
    assert freeze_split(path, labelled, fraction, 0) == Split()
    assert list(tmp_path.iterdir()) == []
    assert freeze_split(path, study("abc"), 0.3, 0).patients


def test_seed_decides_and_order_does_not(tmp_path):
    labelled = study("abcdefgh")
    backwards = dict(reversed(labelled.items()))
    same = [freeze_split(tmp_path / name, each, 0.25, 1) for name, each in (("1", labelled), ("2", backwards))]
    assert same[0] == same[1]
    others = {freeze_split(tmp_path / f"s{seed}", labelled, 0.25, seed).patients for seed in range(8)}
    assert len(others) > 1


def test_partition_worked_by_hand():
    split = Split(images=frozenset({"a1", "a2"}), patients=frozenset({"A"}))
    patients = {"a1": "A", "a2": "A", "a3": "A", "b1": "B"}
    assert split.partition(["b1", "a3", "a1"], patients).train_ids == ("b1",)
    assert split.partition(["b1", "a3", "a1"], patients).validation_ids == ("a1",)
    assert split.partition(["b1", "a3", "a1"], patients).excluded_ids == ("a3",)


def test_patient_that_the_manifest_renamed_stays_out_of_training():
    split = Split(images=frozenset({"a1"}), patients=frozenset({"A"}))
    parts = split.partition(["a1", "a2", "b1"], {"a1": "new", "a2": "new", "b1": "B"})
    assert (parts.train_ids, parts.validation_ids, parts.excluded_ids) == (("b1",), ("a1",), ("a2",))


def test_partition_without_validation_trains_on_everything():
    assert Split().partition(["b", "a"], {"a": "p", "b": "p"}).train_ids == ("a", "b")


@given(
    patients=st.dictionaries(st.text("xyz", min_size=1, max_size=3), st.sampled_from("ABCD"), max_size=15),
    frozen=st.sets(st.sampled_from("ABCD")),
    early=st.sets(st.text("xyz", min_size=1, max_size=3)),
)
def test_partition_is_complete_and_no_patient_is_on_both_sides(patients, frozen, early):
    images = frozenset(image for image, patient in patients.items() if patient in frozen and image in early)
    parts = Split(images, frozenset(frozen)).partition(patients, patients)
    together = parts.train_ids + parts.validation_ids + parts.excluded_ids
    assert sorted(together) == sorted(patients)
    assert {patients[i] for i in parts.train_ids}.isdisjoint(patients[i] for i in parts.validation_ids)
    assert set(parts.validation_ids) == images


@pytest.mark.parametrize("content", ["", "{", "[]", '{"images": []}', json.dumps({"images": [1], "patients": []})])
def test_damaged_record_is_an_error_not_a_new_choice(tmp_path, content):
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(StudyError, match=r"split\.json"):
        freeze_split(path, study("abc"), 0.3, 0)
    assert path.read_text() == content


def test_unwritable_folder(tmp_path):
    with pytest.raises(StudyError, match="writable"):
        freeze_split(tmp_path / "missing" / "split.json", study("abc"), 0.3, 0)


def test_a_patient_that_was_trained_on_is_never_set_aside(tmp_path):
    for seed in range(12):
        split = freeze_split(tmp_path / f"s{seed}", study("abc"), 0.5, seed, trained={"a", "b"})
        assert split.patients == {"c"}

    assert freeze_split(tmp_path / "none", study("ab"), 0.5, 0, trained={"a", "b"}) == Split()
    assert not (tmp_path / "none").exists()
