import json

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sequal.files.imaging.markups import Curve, curve_markups, to_lps, write_markups

OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = Rotation.from_euler("xyz", [10, -25, 70], degrees=True).as_matrix() @ np.diag([0.08, 0.05, 1.0])
OBLIQUE[:3, 3] = 5.0, -60.0, 12.0
RED = (1.0, 0.0, 0.0)


def test_coordinates_by_hand():
    affine = np.array([[0.0, -0.5, 0.0, 10.0], [0.25, 0.0, 0.0, -3.0], [0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 0.0, 1.0]])
    # RAS of pixel (4, 6, 1): x = 10 - 3 = 7, y = -3 + 1 = -2, z = 3.
    np.testing.assert_allclose(to_lps(np.array([[4.0, 6.0, 1.0]]), affine), [[-7.0, 2.0, 3.0]])


def test_coordinates_are_those_of_nibabel():
    points = np.random.default_rng(0).uniform(0, 200, (50, 3))
    expected = nib.affines.apply_affine(OBLIQUE, points) * [-1, -1, 1]
    np.testing.assert_allclose(to_lps(points, OBLIQUE), expected, atol=1e-9)


def test_a_curve_has_what_slicer_reads():
    curve = Curve("MA", np.array([[0.0, 1.0, 0.0], [2.0, 1.5, 0.0]]), "all", ("a", "b"), RED, {"IMT mean": (0.7, "mm")})
    content = curve_markups([curve], np.eye(4))
    assert content["@schema"].endswith("/markups-schema-v1.0.3.json#")
    (markup,) = content["markups"]
    assert (markup["type"], markup["name"], markup["description"]) == ("Curve", "MA", "all")
    assert (markup["coordinateSystem"], markup["coordinateUnits"]) == ("LPS", "mm")
    assert [point["position"] for point in markup["controlPoints"]] == [[0.0, -1.0, 0.0], [-2.0, -1.5, 0.0]]
    assert [point["description"] for point in markup["controlPoints"]] == ["a", "b"]
    assert {point["positionStatus"] for point in markup["controlPoints"]} == {"defined"}
    assert len({point["id"] for point in markup["controlPoints"]}) == 2
    (measurement,) = markup["measurements"]
    assert (measurement["name"], measurement["value"], measurement["units"]) == ("IMT mean", 0.7, "mm")
    assert markup["display"]["color"] == list(RED)


def test_the_file_is_json_and_never_holds_what_json_does_not(tmp_path):
    points = np.array([[0.0, 1.0, 0.0], [2.0, np.nan, 0.0]])
    good = curve_markups([Curve("LI", points[:1], "", ("µ",), RED)], OBLIQUE)
    write_markups(tmp_path / "a.json", good)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == good
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_markups(tmp_path / "b.json", curve_markups([Curve("LI", points, "", ("", ""), RED)], OBLIQUE))
    assert not (tmp_path / "b.json").exists()
