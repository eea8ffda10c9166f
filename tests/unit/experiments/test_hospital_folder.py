import csv
from dataclasses import replace

import pytest

import sequal.experiments.hospital_folder as module
from sequal.errors import StudyError
from sequal.experiments import Plan
from sequal.experiments.frames import find_sources
from unit.anatomy.phantom.test_hospital import SMALL


class _Here:
    """The executor's map in this process."""

    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False

    map = staticmethod(map)


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setattr(module, "ProcessPoolExecutor", _Here)


def make(folder, **changes):
    seen = []
    module.make_hospital(
        folder, **{"pool": 5, "test": 3, "hospital": SMALL, **changes}, progress=lambda *done: seen.append(done)
    )
    return seen


def test_the_folder_is_an_experiments_source_and_no_patient_is_divided(tmp_path):
    assert make(tmp_path) == [(number, 8) for number in range(1, 9)]
    given = {name: str(tmp_path / part) for name, part in (("images", "pool/images"), ("masks", "pool/truth"))}
    test = {"test_images": str(tmp_path / "test/images"), "test_masks": str(tmp_path / "test/truth")}
    sources = find_sources(Plan.of({**given, **test, "start": 1, "budget": 1, "rounds": 2}))
    assert (len(sources.pool), len(sources.test)) == (5, 3)
    patients = [{sources.patients[image] for image in part} for part in (sources.pool, sources.test)]
    assert not patients[0] & patients[1]
    assert len(patients[0]) < 5
    frame = next(iter(sources.pool.values()))()
    assert frame.kind.split(", ")[1] in SMALL.machines
    assert frame.spacing_mm == pytest.approx((SMALL.machines[frame.kind.split(", ")[1]].scanner.spacing_mm,) * 2)


def test_a_stopped_call_goes_on_and_gives_what_it_would_have_given(tmp_path, monkeypatch):
    make(tmp_path / "whole")
    simulate, calls = module.simulate_hospital_frame, []

    def stopping(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return simulate(*arguments)

    monkeypatch.setattr(module, "simulate_hospital_frame", stopping)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "stopped")
    make(tmp_path / "stopped")
    assert len(calls) == 4 + 5
    files = [path.relative_to(tmp_path / "whole") for path in sorted((tmp_path / "whole").rglob("*.csv"))]
    assert len(files) == 4
    for name in files:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "stopped" / name).read_bytes()
    assert make(tmp_path / "stopped") == []


def test_frames_of_another_hospital_or_seed_are_refused(tmp_path):
    make(tmp_path)
    with pytest.raises(StudyError, match=r"\(seed differ\)"):
        make(tmp_path, seed=1)
    with pytest.raises(StudyError, match=r"\(hospital differ\)"):
        make(tmp_path, hospital=replace(SMALL, no_wall=0.5))


def test_a_broken_table_of_kinds_is_named(tmp_path):
    make(tmp_path)
    table = tmp_path / "pool" / "images" / "kinds.csv"
    assert next(row["kind"] for row in csv.DictReader(table.open()))
    table.write_text("image,what\na,b\n")
    given = {"images": str(tmp_path / "pool/images"), "masks": str(tmp_path / "pool/truth")}
    with pytest.raises(StudyError, match=r"kinds\.csv"):
        find_sources(Plan.of({**given, "start": 1, "budget": 1, "rounds": 1}))
