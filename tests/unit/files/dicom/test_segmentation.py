import io
import subprocess

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pydicom_seg
import pytest
import SimpleITK
from monailabel.datastore.utils.convert import dicom_seg_to_itk_image, dicom_to_nifti

from pacs import needed_program
from sequal.files.dicom import frames_to_slices, image_series, is_refined, label_segmentation
from sequal.files.imaging.dicom_seg import known_segments, read_segmentation
from unit.files.dicom.frames import (
    CALIBRATED,
    NOT_CALIBRATED,
    identity_of,
    make_bundle,
    make_frame,
    make_label,
    make_values,
    save,
)

FORMS = [(1, CALIBRATED), (1, NOT_CALIBRATED), (2, CALIBRATED), (5, CALIBRATED)]


def segment(tmp_path, frames, calibration, label):
    """The images and the segmentation, both as they come back from files."""
    frame = make_frame(frames, calibration)
    images = image_series(frame, identity_of(frame))
    folder = save(tmp_path / "images", images)
    segmentation = label_segmentation(images, label, identity_of(frame))
    file = next(save(tmp_path / "seg", [segmentation]).iterdir())
    return folder, pydicom.dcmread(file)


@pytest.mark.parametrize(("frames", "calibration"), FORMS)
def test_pydicom_seg_reads_it_back_on_the_grid_of_the_images(tmp_path, frames, calibration):
    folder, segmentation = segment(tmp_path, frames, calibration, make_label(frames=frames))
    found = pydicom_seg.MultiClassReader().read(segmentation)
    expected = frames_to_slices(make_values(frames))
    expected[expected == 255] = 2
    assert np.array_equal(found.data.transpose(2, 1, 0), expected)
    image = nib.load(dicom_to_nifti(str(folder)))
    assert found.size == image.shape
    assert found.spacing == pytest.approx([float(value) for value in image.header.get_zooms()])
    assert found.origin == pytest.approx((0.0, 0.0, float(image.affine[2, 3])))


@pytest.mark.parametrize(("frames", "calibration"), FORMS)
def test_this_app_reads_it_back_with_the_pixels_that_were_not_annotated(tmp_path, frames, calibration):
    folder, segmentation = segment(tmp_path, frames, calibration, make_label(frames=frames))
    images = sorted(
        (pydicom.dcmread(file) for file in folder.iterdir()), key=lambda image: image.ImagePositionPatient[2]
    )
    assert np.array_equal(read_segmentation(segmentation, images), frames_to_slices(make_values(frames)))
    assert known_segments(segmentation) == {1: 1, 2: 255}


def test_highdicom_reads_it_back_image_by_image(tmp_path):
    folder, segmentation = segment(tmp_path, 4, CALIBRATED, make_label(frames=4))
    seg = highdicom.seg.Segmentation.from_dataset(segmentation)
    images = sorted((pydicom.dcmread(file) for file in folder.iterdir()), key=lambda image: image.InstanceNumber)
    planes = seg.get_pixels_by_source_instance([image.SOPInstanceUID for image in images], combine_segments=True)
    expected = make_values(4).transpose(2, 1, 0)
    assert np.array_equal(planes, np.where(expected == 255, 2, expected))


def test_monai_labels_own_conversion_reads_it_back(tmp_path):
    _, segmentation = segment(tmp_path, 3, CALIBRATED, make_label(frames=3, unknown=False))
    file = next((tmp_path / "seg").iterdir())
    volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(dicom_seg_to_itk_image(str(file)))).transpose(2, 1, 0)
    assert np.array_equal(volume, frames_to_slices(make_values(3, unknown=False)))
    assert segmentation.NumberOfFrames == 3


def test_dcmqi_reads_it_back(tmp_path):
    segment(tmp_path, 3, CALIBRATED, make_label(frames=3, unknown=False))
    file, out = next((tmp_path / "seg").iterdir()), tmp_path / "out"
    out.mkdir()
    tool = needed_program("segimage2itkimage")
    arguments = ["--inputDICOM", file, "--outputDirectory", out, "-t", "nifti", "--mergeSegments"]
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    volume = np.asanyarray(nib.load(next(out.glob("*.nii.gz"))).dataobj)
    assert np.array_equal(volume, frames_to_slices(make_values(3, unknown=False)))


def test_empty_frames_are_written_too(tmp_path):
    """The last frame of the clip shows no layer: a reader that misses its frame would have a smaller grid."""
    _, segmentation = segment(tmp_path, 5, CALIBRATED, make_label(frames=5, unknown=False))
    assert segmentation.NumberOfFrames == 5
    places = {
        float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for group in segmentation.PerFrameFunctionalGroupsSequence
    }
    assert places == {0.0, -1.0, -2.0, -3.0, -4.0}


def test_a_refined_label_says_that_it_is_automatic():
    final, refined = make_bundle().labels
    seg = refined.segmentation
    assert {item.SegmentAlgorithmType for item in seg.SegmentSequence} == {"AUTOMATIC"}
    assert "automatic, round 3" in seg.SeriesDescription
    assert "No expert has approved it" in seg.SegmentSequence[0].SegmentDescription
    assert "2.13 %" in seg.SegmentSequence[0].SegmentDescription
    assert is_refined(seg)
    assert not is_refined(final.segmentation)
    assert {item.SegmentAlgorithmType for item in final.segmentation.SegmentSequence} == {"SEMIAUTOMATIC"}
    assert "automatic" not in final.segmentation.SeriesDescription
    for keyword in ("SeriesInstanceUID", "SOPInstanceUID", "SeriesNumber"):
        assert getattr(seg, keyword) != getattr(final.segmentation, keyword)


def test_it_belongs_to_its_images_and_is_dated_by_the_label():
    bundle = make_bundle(kinds=("final",))
    segmentation, image = bundle.labels[0].segmentation, bundle.images[0]
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDescription", "FrameOfReferenceUID"):
        assert getattr(segmentation, keyword) == getattr(image, keyword)
    references = segmentation.ReferencedSeriesSequence[0]
    assert references.SeriesInstanceUID == image.SeriesInstanceUID
    assert [item.ReferencedSOPInstanceUID for item in references.ReferencedInstanceSequence] == [
        image.SOPInstanceUID for image in bundle.images
    ]
    assert (segmentation.ContentDate, segmentation.ContentTime) == ("20231114", "221320")
    assert "PatientName" in image
    assert "SliceThickness" not in image  # only highdicom's copy of the header has one


def test_the_same_label_gives_the_same_bytes_and_another_another_uid():
    def content(label):
        frame = make_frame()
        stream = io.BytesIO()
        label_segmentation(image_series(frame, identity_of(frame)), label, identity_of(frame)).save_as(
            stream, write_like_original=False
        )
        return stream.getvalue()

    assert content(make_label()) == content(make_label())
    assert content(make_label()) != content(make_label(unknown=False))
    frame = make_frame()
    images, identity = image_series(frame, identity_of(frame)), identity_of(frame)
    one, other = (label_segmentation(images, label, identity) for label in (make_label(), make_label(unknown=False)))
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID != other.SeriesInstanceUID
