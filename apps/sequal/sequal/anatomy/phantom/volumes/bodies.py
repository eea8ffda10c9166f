"""What is inside a simulated body: structures of the chest or of the belly, drawn at random."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from sequal.anatomy.phantom.volumes.shapes import Blend, Ellipsoid, Grown, Shape, Tube, Vector, Warp, draw_warp
from sequal.anatomy.phantom.volumes.tissues import Tissue

__all__ = ["BODY_LABELS", "BODY_PARTS", "Body", "BodyPart", "Structure", "draw_body"]

BodyPart = Literal["heart", "abdomen"]
BODY_PARTS: Final[tuple[BodyPart, ...]] = ("heart", "abdomen")
#: The labels of the truth, by what is shown.
BODY_LABELS: Final[dict[BodyPart, dict[str, int]]] = {
    "heart": {"left atrium": 1, "aorta": 2},
    "abdomen": {"liver": 1, "spleen": 2, "vessel": 3},
}


@dataclass(frozen=True)
class Structure:
    """One solid of a body.

    Attributes:
        tissue: what it is made of.
        shape: in mm; x to the patient's right, y to the front, z to the head.
        label: in the truth; 0: nobody asks for it.
    """

    tissue: Tissue
    shape: Shape
    label: int = 0


@dataclass(frozen=True)
class Body:
    """A body that a scanner can look at.

    Attributes:
        structures: each takes the place of those before it.
        warp: of all of them.
        extent_mm: edge of the cube around the origin that is to be seen.
    """

    structures: tuple[Structure, ...]
    warp: Warp
    extent_mm: float


class _Draw:
    """Lengths and places around what is usual."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def place(self, x: float, y: float, z: float, spread_mm: float = 3.0) -> Vector:
        dx, dy, dz = self._rng.normal(0.0, spread_mm, size=3)
        return x + float(dx), y + float(dy), z + float(dz)

    def length(self, usual_mm: float, spread: float = 0.08) -> float:
        return usual_mm * float(np.exp(self._rng.normal(0.0, spread)))

    def ellipsoid(self, centre: Vector, radii: Vector) -> Ellipsoid:
        x, y, z = radii
        return Ellipsoid(self.place(*centre), (self.length(x), self.length(y), self.length(z)))

    def tube(self, *path: Vector, radii: tuple[float, ...], start: Vector | None = None) -> Tube:
        """The first point stays where it is given as `start`, so that branches begin on their trunk."""
        points = [self.place(*point) for point in path]
        return Tube(tuple([start, *points] if start else points), tuple(self.length(radius) for radius in radii))


def draw_body(rng: np.random.Generator, part: BodyPart) -> Body:
    """Draw the chest around the heart, or the upper belly, of one patient.

    Args:
        rng: decides the place, the size and the form of everything.
        part: `heart` or `abdomen`; its labels are `BODY_LABELS[part]`.
    """
    draw = _Draw(rng)
    structures, extent_mm = _PARTS[part](draw)
    return Body((*_trunk(draw), *structures), draw_warp(rng, draw.length(1.0)), extent_mm)


def _trunk(draw: _Draw) -> list[Structure]:
    skin = Ellipsoid((0.0, 0.0, 0.0), (draw.length(140.0), draw.length(88.0, 0.05), 600.0))
    inner: Vector = (skin.radii_mm[0] - draw.length(14.0, 0.3), skin.radii_mm[1] - draw.length(14.0, 0.3), 600.0)
    spine_y = 20.0 - inner[1]
    return [
        Structure("fat", skin),
        Structure("muscle", Ellipsoid((0.0, 0.0, 0.0), inner)),
        Structure("bone", Tube(((0.0, spine_y, -400.0), (0.0, spine_y, 400.0)), (15.0, 15.0))),
    ]


def _heart(draw: _Draw) -> tuple[list[Structure], float]:
    lungs = [draw.ellipsoid((side * 82.0, -5.0, 0.0), (40.0, 52.0, 110.0)) for side in (-1.0, 1.0)]
    atrium = _left_atrium(draw)
    aorta = draw.tube(
        *((2.0, 14.0, -8.0), (6.0, 20.0, 28.0), (0.0, 8.0, 52.0), (-12.0, -18.0, 58.0), (-20.0, -36.0, 40.0)),
        *((-22.0, -40.0, 0.0), (-20.0, -40.0, -130.0)),
        radii=(13.0, 14.0, 13.0, 12.0, 11.0, 10.5, 10.0),
    )
    blood = [
        draw.ellipsoid((-32.0, 20.0, -34.0), (21.0, 19.0, 32.0)),  # left ventricle
        draw.ellipsoid((10.0, 32.0, -30.0), (22.0, 13.0, 30.0)),  # right ventricle
        draw.ellipsoid((38.0, 8.0, -6.0), (17.0, 19.0, 24.0)),  # right atrium
    ]
    wall_mm = draw.length(2.5)
    return [
        *(Structure("lung", lung) for lung in lungs),
        Structure("myocardium", Blend([Grown(blood[0], draw.length(9.0)), Grown(blood[1], 3.5), Grown(blood[2], 2.5)])),
        *(Structure("blood", chamber) for chamber in blood),
        *(Structure("myocardium", Grown(vessel, wall_mm)) for vessel in (atrium, aorta)),
        Structure("blood", atrium, BODY_LABELS["heart"]["left atrium"]),
        Structure("blood", aorta, BODY_LABELS["heart"]["aorta"]),
    ], 152.0


def _left_atrium(draw: _Draw) -> Shape:
    """The chamber, four pulmonary veins, and the appendage in front."""
    chamber = draw.ellipsoid((4.0, -14.0, 4.0), (27.0, 18.0, 21.0))
    x, y, z = chamber.centre_mm
    veins = [
        draw.tube(
            (x + side * 38.0, y - 8.0, z + rise),
            (x + side * 62.0, y - 14.0, z + 1.8 * rise),
            radii=(7.5, 6.0, 4.5),
            start=(x + side * 14.0, y - 4.0, z + 0.6 * rise),
        )
        for side in (-1.0, 1.0)
        for rise in (12.0, -9.0)
    ]
    appendage = draw.tube(
        (x - 30.0, y + 18.0, z + 10.0),
        (x - 38.0, y + 32.0, z + 4.0),
        radii=(9.0, 8.0, 4.5),
        start=(x - 14.0, y + 6.0, z + 8.0),
    )
    return Blend([chamber, appendage, *veins], seam_mm=4.0)


def _abdomen(draw: _Draw) -> tuple[list[Structure], float]:
    labels = BODY_LABELS["abdomen"]
    liver = Blend(
        [draw.ellipsoid((58.0, 2.0, 8.0), (44.0, 52.0, 52.0)), draw.ellipsoid((8.0, 36.0, 22.0), (44.0, 20.0, 26.0))],
        seam_mm=14.0,
    )
    spleen = Blend(
        [
            draw.ellipsoid((-82.0, -18.0, 22.0), (16.0, 26.0, 26.0)),
            draw.ellipsoid((-74.0, -38.0, 4.0), (18.0, 16.0, 24.0)),
        ],
        seam_mm=10.0,
    )
    return [
        Structure("fat", draw.ellipsoid((0.0, 0.0, 0.0), (100.0, 56.0, 150.0))),
        Structure("stomach", draw.ellipsoid((-40.0, 24.0, 18.0), (30.0, 22.0, 34.0))),
        *(Structure("kidney", draw.ellipsoid((side * 48.0, -40.0, -46.0), (19.0, 19.0, 32.0))) for side in (-1.0, 1.0)),
        Structure("vessel", draw.tube((-8.0, -38.0, -300.0), (-8.0, -38.0, 300.0), radii=(9.0, 10.0))),
        Structure("liver", liver, labels["liver"]),
        Structure("spleen", spleen, labels["spleen"]),
        Structure("vessel", _portal_vein(draw), labels["vessel"]),
    ], 216.0


def _portal_vein(draw: _Draw) -> Shape:
    """A trunk below the liver, and three branches inside."""
    trunk = draw.tube((2.0, -10.0, -44.0), (22.0, 0.0, -14.0), (38.0, 2.0, 6.0), radii=(7.5, 7.5, 7.0))
    end = trunk.path_mm[-1]
    branches = [
        draw.tube((62.0, 18.0, 22.0), (76.0, 26.0, 34.0), radii=(6.5, 5.0, 3.5), start=end),
        draw.tube((64.0, -12.0, 12.0), (80.0, -22.0, 8.0), radii=(6.5, 5.0, 3.5), start=end),
        draw.tube((26.0, 24.0, 20.0), (4.0, 36.0, 24.0), radii=(6.5, 5.0, 3.5), start=end),
    ]
    return Blend([trunk, *branches], seam_mm=3.0)


_PARTS: Final[dict[BodyPart, Callable[[_Draw], tuple[list[Structure], float]]]] = {"heart": _heart, "abdomen": _abdomen}
