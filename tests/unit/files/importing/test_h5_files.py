"""Volumes in H5 files, as the Left Atrium and Pancreas sets are shared."""

import h5py
import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

import cli
from sequal.errors import ImageError, SettingsError
from sequal.files.importing import ImportOptions, run_import
from sequal.files.importing.h5_files import h5_candidate
from unit.commands.studies import words

SHAPE = (6, 5, 4)


def volume(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def classes(seed=0, values=(0, 1)):
    return np.random.default_rng(seed).choice(values, SHAPE).astype(np.uint8)


def write_h5(path, **datasets):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in datasets.items():
            file.create_dataset(name, data=array, compression="gzip" if np.ndim(array) else None)
    return path


def load(path):
    image = nib.load(path)
    return np.asarray(image.dataobj), image


@pytest.fixture
def source(tmp_path):
    for seed, case in enumerate(("0RZDK210BSMWAA6467LU", "1D7CUD1955YZPGK8XHJX")):
        write_h5(tmp_path / "LA" / case / "mri_norm2.h5", image=volume(seed), label=classes(seed))
    return tmp_path / "LA"


def imported(source, tmp_path, **options):
    return run_import(source, tmp_path / "study", ImportOptions(**options))


def test_a_study_of_volumes_and_labels(source, tmp_path):
    report = imported(source, tmp_path, voxel_mm=(0.625, 0.625, 1.25))
    assert report.problems == report.notes == report.others == []
    assert [image.image for image in report.imported] == [
        "0RZDK210BSMWAA6467LU_mri_norm2",
        "1D7CUD1955YZPGK8XHJX_mri_norm2",
    ]
    for seed, item in enumerate(report.imported):
        assert item.grid == SHAPE
        assert item.tags == ("final",)
        voxels, image = load(tmp_path / "study" / f"{item.image}.nii.gz")
        label, of_label = load(tmp_path / "study" / "labels" / "final" / f"{item.image}.nii.gz")
        assert np.array_equal(voxels, volume(seed))
        assert voxels.dtype == np.float32
        assert np.array_equal(label, classes(seed))
        assert label.dtype == np.uint8
        assert image.header.get_zooms() == (0.625, 0.625, 1.25)
        assert np.array_equal(image.affine, of_label.affine)


def test_several_structures_keep_their_numbers_also_without_the_first(tmp_path):
    structures = {"all": (0, 1, 2, 7), "part": (0, 3, 255), "none": (0,), "full": (1,)}
    for seed, (name, values) in enumerate(structures.items()):
        write_h5(tmp_path / "source" / f"{name}.h5", image=volume(seed), label=classes(1, values))
    report = imported(tmp_path / "source", tmp_path, voxel_mm=(1.0, 1.0, 2.0))
    assert report.problems == report.notes == []
    for name, values in structures.items():
        label, _ = load(tmp_path / "study" / "labels" / "final" / f"{name}.nii.gz")
        assert np.array_equal(label, classes(1, values))


def test_without_a_size_voxels_are_a_millimetre_and_it_is_said(source, tmp_path):
    report = imported(source, tmp_path)
    assert len(report.imported) == 2
    assert all("--voxel-mm" in note.reason for note in report.notes)
    assert len(report.notes) == 2
    _, image = load(tmp_path / "study" / f"{report.imported[0].image}.nii.gz")
    assert image.header.get_zooms() == (1.0, 1.0, 1.0)
    assert report.imported[0].calibration.spacing_mm is None


def test_a_file_without_label_is_left_to_be_labelled(tmp_path):
    write_h5(tmp_path / "source" / "a.HDF5", image=volume())
    report = imported(tmp_path / "source", tmp_path)
    assert report.imported[0].tags == ()
    assert not (tmp_path / "study" / "labels").exists()


def test_labels_that_are_whole_numbers_in_another_type_are_taken(tmp_path):
    for number, kind in enumerate((bool, np.int64, np.float64)):
        write_h5(tmp_path / "source" / f"{number}.h5", image=volume(number), label=classes().astype(kind))
    report = imported(tmp_path / "source", tmp_path)
    assert report.problems == []
    assert all(np.array_equal(load(path)[0], classes()) for path in (tmp_path / "study" / "labels").rglob("*.nii.gz"))


def test_a_second_run_finds_nothing_new_and_another_size_is_told(source, tmp_path):
    imported(source, tmp_path, voxel_mm=(0.6,) * 3)
    again = imported(source, tmp_path, voxel_mm=(0.6,) * 3)
    assert (again.imported, again.known, again.problems) == ([], 2, [])
    other = imported(source, tmp_path, voxel_mm=(0.7,) * 3)
    assert [problem.reason.split("`")[1][:4] for problem in other.problems] == ["0RZD", "1D7C"]
    assert all("(0.6 x 0.6 mm), got 0.7 x 0.7 mm" in problem.reason for problem in other.problems)


@pytest.mark.parametrize(
    ("datasets", "reason"),
    [
        (
            {"img": volume(), "label": classes()},
            "the datasets `image` and, where it is labelled, `label`, got img, label",
        ),
        ({}, "got nothing"),
        ({"image": volume()[0]}, "along three axes, got float32 of 5 x 4"),
        ({"image": volume()[None]}, "along three axes, got float32 of 1 x 6 x 5 x 4"),
        ({"image": np.float32(3)}, "along three axes, got float32 of no axes"),
        ({"image": np.zeros((3, 0, 2))}, "got float64 of 3 x 0 x 2"),
        ({"image": volume().astype(complex)}, "to hold numbers along three axes, got complex128"),
        ({"image": np.where(classes() == 1, np.nan, volume())}, "to be a finite number, got 6"),
    ],
)
def test_images_that_cannot_be_used(tmp_path, datasets, reason):
    write_h5(tmp_path / "source" / "bad.h5", **datasets)
    write_h5(tmp_path / "source" / "good.h5", image=volume(3))
    report = imported(tmp_path / "source", tmp_path)
    assert [image.image for image in report.imported] == ["good"]
    (problem,) = report.problems
    assert problem.name == "bad.h5"
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        (classes()[:-1], "to have the size of its image, 6 x 5 x 4, got 5 x 5 x 4"),
        (classes() + np.float32(0.5), "to hold whole numbers from 0 to 255, got values from 0.5 to 1.5"),
        (classes().astype(int) - 1, "got values from -1 to 0"),
        (classes().astype(int) * 256, "got values from 0 to 256"),
        (np.where(classes() == 1, np.nan, 0), "got values from nan to nan"),
    ],
)
def test_labels_that_cannot_be_used_leave_the_image(tmp_path, label, reason):
    write_h5(tmp_path / "source" / "a.h5", image=volume(), label=label)
    report = imported(tmp_path / "source", tmp_path)
    assert [image.tags for image in report.imported] == [()]
    (problem,) = report.problems
    assert reason in problem.reason


def test_no_hdf5_and_a_cut_file(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "text.h5").write_text("image")
    whole = write_h5(tmp_path / "source" / "cut.h5", image=np.random.default_rng(0).normal(size=(40, 40, 40)))
    whole.write_bytes(whole.read_bytes()[:-9000])
    report = imported(tmp_path / "source", tmp_path)
    assert sorted(problem.name for problem in report.problems) == ["cut.h5", "text.h5"]
    assert all("Copy it again" in problem.reason for problem in report.problems)


def test_a_damaged_piece_is_told(tmp_path):
    path = write_h5(tmp_path / "a.h5", image=np.random.default_rng(0).normal(size=(40, 40, 40)))
    with h5py.File(path) as file:
        chunk = file["image"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset : chunk.byte_offset + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(ImageError, match=r"`a.h5` to be whole"):
        h5_candidate(path, "a.h5", None).read()


def test_a_spacing_of_pixels_is_refused(source, tmp_path):
    report = imported(source, tmp_path, spacing_mm=(0.1, 0.1))
    assert len(report.problems) == 2
    assert all("along three axes, got a spacing of pixels" in problem.reason for problem in report.problems)


def test_on_the_command_line(source, tmp_path):
    run = CliRunner().invoke(cli.app, ["import", str(source), "--studies", str(tmp_path / "s"), "--voxel-mm", "0.625"])
    assert run.exit_code == 0, run.output
    assert "2 images imported" in words(run.stdout)
    assert "2 of them with an expert's label" in words(run.stdout)
    image = next((tmp_path / "s").glob("*.nii.gz"))
    assert nib.load(image).header.get_zooms() == (0.625, 0.625, 0.625)


@pytest.mark.parametrize("text", ["1,2", "a", "0", "-1", "nan", "25", "1,1,1,1", ""])
def test_a_size_that_is_none(text):
    from sequal.commands.import_study import voxel_option

    with pytest.raises(SettingsError, match="`--voxel-mm` to be millimetres, X or X,Y,Z"):
        voxel_option(text)
