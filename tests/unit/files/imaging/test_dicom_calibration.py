"""A scale counts only where one instance states it without contradiction."""

import pytest

from sequal.files.imaging import Calibration
from sequal.files.imaging.calibration import calibration_note
from sequal.files.imaging.dicom_calibration import dicom_calibration, series_calibration

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class Dataset(dict[str, object]):
    """The one method of a pydicom dataset that calibration uses."""


def region(bounds=(0, 0, 306, 240), cm=(0.01, 0.01), **changes):
    """A tissue region; bounds inclusive, as DICOM has them."""
    values = {
        "RegionSpatialFormat": 1,
        "RegionDataType": 1,
        "PhysicalUnitsXDirection": 3,
        "PhysicalUnitsYDirection": 3,
        "PhysicalDeltaX": cm[0],
        "PhysicalDeltaY": cm[1],
        **dict(zip(("RegionLocationMinX0", "RegionLocationMinY0"), bounds[:2], strict=True)),
        **dict(zip(("RegionLocationMaxX1", "RegionLocationMaxY1"), bounds[2:], strict=True)),
    }
    return Dataset({**values, **changes})


def image(*regions, **tags):
    """A picture of 307 x 241 pixels."""
    return Dataset({"Columns": 307, "Rows": 241, "SequenceOfUltrasoundRegions": list(regions), **tags})


def frame_spacing(*spacings):
    """Functional groups with one spacing each."""
    return [Dataset(PixelMeasuresSequence=[Dataset(PixelSpacing=list(spacing))]) for spacing in spacings]


def test_a_region_that_covers_the_picture_calibrates_all_of_it():
    assert dicom_calibration(image(region())) == Calibration((0.1, 0.1), "dicom ultrasound regions")


def test_a_region_calibrates_itself_alone():
    assert dicom_calibration(image(region((10, 20, 200, 230)))).region == (10, 20, 201, 231)


def test_regions_of_one_scale_are_one():
    found = dicom_calibration(image(region((0, 0, 99, 240)), region((120, 0, 250, 200), cm=(0.01002, -0.01))))
    assert found.spacing_mm == pytest.approx((0.1, 0.1))
    assert found.region == (0, 0, 251, 241)


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        (image(region((0, 0, 99, 240)), region((120, 0, 306, 240), cm=(0.005, 0.005))), "two scales: 0.1 and 0.05 mm"),
        (image(region(), PixelSpacing=[0.05, 0.05]), "regions 0.1 mm and PixelSpacing 0.05 mm contradict"),
        (image(region(), PixelSpacing=[0.1, 0.05]), "contradict"),
        (image(region((0, 0, 613, 481))), "resampled or cropped"),
        (image(region((0, 0, 306, 250))), "resampled or cropped"),
        (image(region((100, 100, 50, 200))), "no area"),
        (image(region(RegionLocationMaxX1=None)), "where it lies"),
        (image(region(PhysicalUnitsXDirection=4)), "another unit"),
        (image(region(PhysicalUnitsXDirection=12, PhysicalUnitsYDirection=12)), "another unit"),
        (image(region(PhysicalUnitsXDirection=4), PixelSpacing=[0.1, 0.1]), "another unit"),
        (image(region(cm=(0.5, 0.5))), "not credible"),
        (image(region(cm=(1e-9, 0.01))), "not credible"),
        (image(region(cm=(0, 0.01))), "PhysicalDeltaX 0, no size"),
        (image(region(cm=(0.01, 0.0))), "PhysicalDeltaY 0, no size"),
        (image(region(cm=(float("nan"), 0.01))), "PhysicalDeltaX nan, no size"),
        (image(region(cm=(0.01, float("-inf")))), "PhysicalDeltaY -inf, no size"),
        (image(region(cm=(None, 0.01))), "PhysicalDeltaX missing, no size"),
        (image(region(cm=("", 0.01))), "PhysicalDeltaX that is no number"),
        (image(region(cm=([0.01, 0.01], 0.01))), "PhysicalDeltaX that is no number"),
        (image(region(PhysicalUnitsYDirection=0)), "no unit along Y"),
        (image(region(PhysicalUnitsXDirection=None)), "no unit along X"),
        (image(region(RegionSpatialFormat=None)), "of an unknown kind (format None)"),
        (image(region(RegionSpatialFormat=0)), "of no stated kind"),
        (image(region(RegionSpatialFormat=2)), "M-mode"),
        (image(region(RegionSpatialFormat=3)), "a spectrum"),
        (image(region(RegionSpatialFormat=4)), "a wave form"),
        (image(region(RegionSpatialFormat=5)), "graphics"),
        (image(region(RegionSpatialFormat=[1, 1])), "of an unknown kind"),
        (image(region(RegionDataType=99)), "of an unknown kind (type 99)"),
        (image(region(RegionSpatialFormat=2), region(cm=(0, 0))), "PhysicalDeltaX 0"),
        (image(region(RegionSpatialFormat=2), PixelSpacing=[0.1, 0.1]), "M-mode"),
        (image(region(RegionDataType=4), PixelSpacing=[0.1, 0.1]), "CW spectral Doppler"),
        (image(region(), PixelAspectRatio=["2", "1"]), "PixelAspectRatio"),
        (image(PixelSpacing=[0.1, 0.1], PixelAspectRatio=["2", "1"]), "PixelAspectRatio"),
        (image(region(), ImageType=["DERIVED", "SECONDARY", "RESAMPLED"]), "was resampled"),
        (image(region(), DerivationDescription="Resized to 307 x 241"), "was resampled"),
        (image(region(), DerivationCodeSequence=[Dataset(CodeValue="113085")]), "was resampled"),
        (image(PixelSpacing=[0.1, 0.1], SOPClassUID=SECONDARY_CAPTURE), "secondary capture"),
        (image(region(), SOPClassUID=f"{SECONDARY_CAPTURE}.2"), "secondary capture"),
        (image(PerFrameFunctionalGroupsSequence=frame_spacing((0.1, 0.1), (0.2, 0.2))), "frames of two spacings"),
        (
            image(PixelSpacing=[0.1, 0.1], SharedFunctionalGroupsSequence=frame_spacing((0.2, 0.2))),
            "frames of two spacings",
        ),
    ],
)
def test_what_cannot_be_believed_calibrates_nothing_and_says_why(dataset, words):
    found = dicom_calibration(dataset)
    assert found.spacing_mm is None
    assert found.source.startswith("none (")
    assert words in found.source


@pytest.mark.parametrize(
    "dataset",
    [
        image(region(), PixelSpacing=[0.1, 0.1]),
        image(region(), PixelSpacing=[1.0, 1.0]),
        image(region((0, 0, 307, 241))),
        image(region(), PixelAspectRatio=["1", "1"]),
        image(region(), region((0, 100, 306, 240), RegionSpatialFormat=2, PhysicalUnitsXDirection=4)),
        image(region(), region((0, 0, 50, 50), PhysicalUnitsXDirection=0, PhysicalUnitsYDirection=0)),
        image(region(), SOPClassUID=SECONDARY_CAPTURE, PixelSpacing=[0.1, 0.1]),
        image(region(), ImageType=["DERIVED", "PRIMARY"], LossyImageCompression="01"),
        image(PixelSpacing=[0.1, 0.1]),
        image(PixelSpacing=[0.1, 0.1], SOPClassUID=SECONDARY_CAPTURE, PixelSpacingCalibrationType="FIDUCIAL"),
        image(PerFrameFunctionalGroupsSequence=frame_spacing((0.1, 0.1), (0.1, 0.1))),
        image(region(PhysicalUnitsXDirection=0, PhysicalUnitsYDirection=0), PixelSpacing=[0.1, 0.1]),
        image(region(cm=(-0.01, -0.01))),
        image(region(RegionDataType=0)),
        image(region(RegionDataType=None)),
        image(region(RegionDataType=2)),
        image(region(RegionDataType=15)),
        image(region(), region(cm=(0, 0))),
        image(region(), region(cm=(0.05, 0.05), RegionSpatialFormat=2)),
        image(region(), region(cm=(0.05, 0.05), RegionDataType=3)),
        image(region(cm=(0, 0)), PixelSpacing=[0.1, 0.1]),
        image(region(RegionSpatialFormat=4), PixelSpacing=[0.1, 0.1]),
    ],
)
def test_what_is_stated_without_contradiction_counts(dataset):
    assert dicom_calibration(dataset).spacing_mm == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("data_type", [*range(3, 15), *range(16, 19)])
def test_a_region_of_neither_tissue_nor_flow_calibrates_nothing_even_in_centimetres(data_type):
    found = dicom_calibration(image(region(RegionDataType=data_type)))
    assert found.spacing_mm is None
    assert found.source.startswith("none (an ultrasound region shows ")
    assert f"(type {data_type})" in found.source
    # A NIfTI file has room for no more.
    assert len(calibration_note(found)) <= 79


def test_a_region_elsewhere_does_not_calibrate_a_part():
    found = dicom_calibration(image(region((0, 0, 99, 240))), part=(120, 0, 307, 241))
    assert found == Calibration(None, "none (the ultrasound regions lie elsewhere in the picture)")


def test_a_series_has_the_scale_that_all_its_instances_have():
    assert series_calibration([image(region()), image(region())]).spacing_mm == pytest.approx((0.1, 0.1))
    apart = [image(region((0, 0, 200, 240))), image(region((50, 0, 306, 240)))]
    assert series_calibration(apart).region == (50, 0, 201, 241)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (image(region(cm=(0.02, 0.02))), "instances 1 and 2 of the series differ: 0.1 and 0.2 mm"),
        (image(), "differ: dicom ultrasound regions; none"),
        (image(PixelSpacing=[0.2, 0.2]), "0.1 and 0.2 mm"),
    ],
)
def test_a_series_whose_instances_differ_is_not_calibrated(other, words):
    for pair in ([image(region()), other], [other, image(region())][::-1]):
        found = series_calibration(pair)
        assert found.spacing_mm is None
        assert words in found.source
