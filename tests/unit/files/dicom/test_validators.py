import pytest
from pydicom import dcmwrite

from sequal.files.dicom import write_bundle
from unit.datastores.fake_archive import mask, segmentation, ultrasound
from unit.files.dicom.frames import CALIBRATED, NOT_CALIBRATED, make_bundle, validator_errors


@pytest.mark.parametrize(("frames", "calibration"), [(1, CALIBRATED), (1, NOT_CALIBRATED), (3, CALIBRATED)])
def test_every_object_passes_the_validators(tmp_path, frames, calibration):
    bundle = make_bundle(frames, calibration)
    assert write_bundle(tmp_path, bundle) == max(frames, 2) + 4
    errors = {file.name: validator_errors(file) for file in sorted(tmp_path.iterdir())}
    assert [(name, found) for name, found in errors.items() if found] == []
    kinds = {"imt_final.dcm", "imt_refined.dcm", "label_final.dcm", "label_refined.dcm", "image_0001.dcm"}
    assert kinds <= set(errors)


def test_a_segmentation_of_no_layer_passes_the_validators(tmp_path):
    instances = ultrasound(1)
    dcmwrite(tmp_path / "label.dcm", segmentation(instances, mask(), 1.0), write_like_original=False)
    assert validator_errors(tmp_path / "label.dcm") == []


def test_the_validators_find_what_is_wrong(tmp_path):
    bundle = make_bundle(kinds=())
    del bundle.images[0].SamplesPerPixel
    write_bundle(tmp_path, bundle)
    assert any("SamplesPerPixel" in line for line in validator_errors(tmp_path / "image_0001.dcm"))
    (tmp_path / "no.dcm").write_bytes(b"no")
    assert validator_errors(tmp_path / "no.dcm") != []


def test_a_former_export_is_replaced_and_other_files_stay(tmp_path):
    write_bundle(tmp_path, make_bundle(frames=5))
    (tmp_path / "notes.dcm").write_bytes(b"mine")
    write_bundle(tmp_path, make_bundle(frames=3, kinds=("final",)))
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "image_0001.dcm",
        "image_0002.dcm",
        "image_0003.dcm",
        "imt_final.dcm",
        "label_final.dcm",
        "notes.dcm",
    ]
