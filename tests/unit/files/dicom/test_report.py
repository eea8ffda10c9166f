import io

import numpy as np
import pydicom
import pytest
from highdicom.sr import MeasurementReport
from pydicom.sr.codedict import codes

from sequal.files.dicom import OutgoingLabel, bundle_image
from sequal.files.dicom.codes import CALIBRATION_SOURCE, FLAG, IMT, LENGTH
from sequal.files.imaging import Calibration
from unit.files.dicom.frames import CALIBRATED, NOT_CALIBRATED, identity_of, make_bundle, make_frame


def report_of(**options):
    bundle = make_bundle(**{"kinds": ("final",), **options})
    objects = bundle.labels[0]
    stream = io.BytesIO()
    objects.report.save_as(stream, write_like_original=False)
    stream.seek(0)
    return bundle, objects, pydicom.dcmread(stream)


def groups(report):
    content = MeasurementReport.from_sequence([report])
    return content.get_planar_roi_measurement_groups()


def numbers(group):
    return {(item.name, item.derivation): (item.value, item.unit.value) for item in group.get_measurements()}


def test_the_report_holds_what_was_measured():
    _, objects, report = report_of()
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    (group,) = groups(report)
    imt, found = objects.measurements[0], numbers(group)
    # Six pixels of 0.05 mm in each of 23 columns of 0.08 mm.
    assert imt.mean == pytest.approx(0.3)
    assert found[IMT, codes.SCT.Mean] == (pytest.approx(0.3), "mm")
    assert found[IMT, codes.SCT.Maximum] == (pytest.approx(imt.max), "mm")
    assert found[IMT, codes.SCT.StandardDeviation] == (pytest.approx(imt.sd, abs=1e-9), "mm")
    assert found[LENGTH, None] == (pytest.approx(23 * 0.08), "mm")


def evaluations(group):
    return [(item.name, item.value.value, item.value.meaning) for item in group.get_qualitative_evaluations()]


def test_it_names_the_source_of_the_calibration_and_the_flags():
    _, _, report = report_of()
    found = evaluations(groups(report)[0])
    assert (CALIBRATION_SOURCE, "NIFTI_SPACING", "nifti spacing") in found
    assert (FLAG, "SHORT_LENGTH", "short length") in found
    _, _, thick = report_of(calibration=Calibration((0.4, 0.4), "given"))
    assert (FLAG, "POSSIBLE_PLAQUE", "possible plaque") in evaluations(groups(thick)[0])


def test_without_calibration_lengths_are_pixels():
    _, _, report = report_of(calibration=NOT_CALIBRATED)
    (group,) = groups(report)
    assert numbers(group)[IMT, codes.SCT.Mean] == (6.0, "{pixels}")
    assert {unit for _, unit in numbers(group).values()} == {"{pixels}", "1"}
    assert (CALIBRATION_SOURCE, "NONE", NOT_CALIBRATED.source) in evaluations(group)
    assert (FLAG, "NOT_CALIBRATED", "not calibrated") in evaluations(group)


def test_a_clip_has_a_group_for_each_frame_that_shows_the_layer():
    bundle, objects, report = report_of(frames=4)
    found = groups(report)
    assert [group.tracking_identifier for group in found] == [f"IMT, final, frame {number}" for number in (1, 2, 3)]
    assert objects.measurements[3].columns == 0
    for index, group in enumerate(found):
        region = group.referenced_segmentation_frame
        assert region.referenced_sop_instance_uid == objects.segmentation.SOPInstanceUID
        frame = objects.segmentation.PerFrameFunctionalGroupsSequence[region.referenced_frame_numbers[0] - 1]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        assert position == bundle.images[index].ImagePositionPatient
        assert frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1


def test_a_label_that_shows_no_layer_has_no_report():
    frame = make_frame()
    label = OutgoingLabel("final", np.zeros(frame.grid, np.uint8), 0.0)
    (objects,) = bundle_image(frame, identity_of(frame), [label]).labels
    assert objects.report is None
    assert objects.measurements[0].flags == ("no_layer",)


def test_a_report_on_a_refined_label_says_so():
    _, _, report = report_of(kinds=("refined",))
    assert report.SeriesDescription == "IMT of: Refined label, automatic, round 3"
    assert report.VerificationFlag == "UNVERIFIED"
    comment = groups(report)[0][0].ContentSequence[-1]
    assert comment.ConceptNameCodeSequence[0].CodeValue == codes.DCM.Comment.value
    assert "No expert has approved it" in comment.TextValue
    assert "Research use only" in comment.TextValue


def test_the_same_label_gives_the_same_bytes():
    once, twice = (io.BytesIO(), io.BytesIO())
    report_of(calibration=CALIBRATED)[1].report.save_as(once, write_like_original=False)
    report_of(calibration=CALIBRATED)[1].report.save_as(twice, write_like_original=False)
    assert once.getvalue() == twice.getvalue()
