import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from sequal.anatomy.phantom.volumes import BODY_LABELS, BODY_PARTS, VOLUME_SCANNERS, Body, draw_body, simulate_volume
from sequal.anatomy.phantom.volumes.bodies import Structure
from sequal.anatomy.phantom.volumes.shapes import Ellipsoid, Warp
from sequal.anatomy.phantom.volumes.volume import _part_inside

STILL = Warp(1.0, np.zeros((1, 3), np.float32), np.zeros((1, 3), np.float32), np.zeros(1, np.float32))


def _simulate(part, scanner, seed=0, **kwargs):
    body = draw_body(np.random.default_rng([seed, 0]), part)
    return simulate_volume(np.random.default_rng([seed, 1]), body, scanner, **kwargs)


def _volume_ml(volume, label):
    return (volume.truth == label).sum() * abs(np.linalg.det(volume.affine[:3, :3])) / 1000


def _centre_mm(volume, label):
    return nib.affines.apply_affine(volume.affine, np.argwhere(volume.truth == label).mean(axis=0))


@pytest.mark.parametrize("scanner", VOLUME_SCANNERS)
def test_truth_of_a_ball_by_hand(scanner):
    """Its volume is 4/3 π r³ and its middle where it was put, whatever the spacing and the orientation."""
    ball = Body((Structure("muscle", Ellipsoid((12.0, -20.0, 25.0), (30.0,) * 3), label=3),), STILL, 150.0)
    volume = simulate_volume(np.random.default_rng(0), ball, scanner)
    assert _volume_ml(volume, 3) == pytest.approx(4 / 3 * np.pi * 3.0**3, rel=0.01)
    assert _centre_mm(volume, 3) == pytest.approx([12.0, -20.0, 25.0], abs=0.2)
    middle = np.rint(np.linalg.inv(volume.affine) @ [12.0, -20.0, 25.0, 1.0]).astype(int)[:3]
    near = volume.voxels[tuple(slice(i - 2, i + 3) for i in middle)]
    assert near.mean() > volume.voxels[volume.truth == 0].mean() + 100


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.5, 1.0, 4.0)])
def test_partial_volume_adds_up(spacing):
    grid = np.indices((41, 61, 31)) * np.reshape(spacing, (3, 1, 1, 1))
    centre = [side * step / 2 + 0.3 for side, step in zip(grid.shape[1:], spacing, strict=True)]
    parts = _part_inside(Ellipsoid(tuple(centre), (14.0, 11.0, 12.0)).field(grid.astype(np.float32)))
    assert parts.sum() * np.prod(spacing) == pytest.approx(4 / 3 * np.pi * 14 * 11 * 12, rel=0.025)
    assert 0.05 < ((parts > 0) & (parts < 1)).sum() / (parts > 0).sum() < 0.7


@pytest.mark.parametrize("part", BODY_PARTS)
def test_both_scanners_see_the_same_body(part):
    for seed in range(3):
        ct, mr = (_simulate(part, scanner, seed, shape=(96, 96, 72)) for scanner in ("ct", "mr"))
        for label in BODY_LABELS[part].values():
            inside = [not _touches_the_border(volume, label) for volume in (ct, mr)]
            if all(inside):
                assert _volume_ml(ct, label) == pytest.approx(_volume_ml(mr, label), rel=0.06)
                assert np.linalg.norm(_centre_mm(ct, label) - _centre_mm(mr, label)) < 1.0


def _touches_the_border(volume, label):
    shown = volume.truth == label
    return any(side.any() for axis in range(3) for side in (shown.take(0, axis), shown.take(-1, axis)))


@pytest.mark.parametrize("scanner", VOLUME_SCANNERS)
@pytest.mark.parametrize("part", BODY_PARTS)
def test_every_volume_shows_every_structure_in_one_piece(part, scanner):
    for seed in range(6):
        volume = _simulate(part, scanner, seed)
        assert volume.voxels.dtype == np.int16
        assert set(np.unique(volume.truth)) == {0, *BODY_LABELS[part].values()}
        for name, label in BODY_LABELS[part].items():
            pieces, _ = ndimage.label(volume.truth == label, structure=np.ones((3, 3, 3)))
            sizes = np.bincount(pieces.ravel())[1:]
            assert sizes.sum() > 150, name
            assert sizes.max() > 0.8 * sizes.sum(), name


def test_organs_differ_from_patient_to_patient():
    volumes = [_volume_ml(_simulate("heart", "ct", seed), 1) for seed in range(8)]
    assert 30 < min(volumes) < max(volumes) < 180
    assert np.std(volumes) > 0.1 * np.mean(volumes)


@pytest.mark.parametrize(("scanner", "axes"), [("ct", ("L", "P", "S")), ("mr", ("P", "I", "R"))])
def test_spacing_and_orientation(scanner, axes):
    affines = [_simulate("heart", scanner, seed).affine for seed in range(4)]
    assert {nib.aff2axcodes(affine) for affine in affines} == {axes}
    spacing = nib.affines.voxel_sizes(affines[0])
    assert spacing[0] == pytest.approx(spacing[1])
    assert spacing[2] > 1.2 * spacing[0]
    assert len({round(float(nib.affines.voxel_sizes(affine)[0]), 3) for affine in affines}) == 4
    columns = affines[0][:3, :3] / spacing
    assert columns.T @ columns == pytest.approx(np.eye(3), abs=1e-9)


def test_a_ct_shows_hounsfield_units():
    for seed in range(3):
        volume = _simulate("heart", "ct", seed)
        atrium = ndimage.binary_erosion(volume.truth == 1, iterations=2)
        assert volume.voxels[atrium].mean() == pytest.approx(240, rel=0.2)
        assert 15 < volume.voxels[atrium].std() < 60
        assert volume.voxels.min() < -900


def test_mr_has_a_gain_of_its_own_and_a_bias_field():
    fat = Body((Structure("fat", Ellipsoid((0.0, 0.0, 0.0), (400.0,) * 3)),), STILL, 150.0)
    volumes = [simulate_volume(np.random.default_rng(seed), fat, "mr").voxels.astype(float) for seed in range(6)]
    assert np.std([volume.mean() for volume in volumes]) > 50
    for voxels in volumes:
        blocks = voxels.reshape(4, 16, 4, 16, 4, 12).mean(axis=(1, 3, 5))
        assert blocks.max() > 1.25 * blocks.min()
        assert np.abs(np.diff(blocks, axis=0)).mean() < 0.2 * blocks.mean()  # it is smooth


def test_air_of_mr_is_rician_and_never_negative():
    volume = simulate_volume(np.random.default_rng(0), Body((), STILL, 150.0), "mr")
    assert volume.voxels.min() >= 0
    # A Rayleigh distribution: mean / standard deviation = √(π / (4 − π)) = 1.913
    assert volume.voxels.mean() / volume.voxels.std() == pytest.approx(1.913, rel=0.03)


@pytest.mark.parametrize("scanner", VOLUME_SCANNERS)
def test_the_same_seed_gives_the_same_volume_whatever_the_global_state(scanner):
    first = _simulate("abdomen", scanner, 3)
    np.random.seed(1)  # noqa: NPY002 - the state that must not count
    again, other = (_simulate("abdomen", scanner, seed) for seed in (3, 4))
    for name in ("voxels", "truth", "affine"):
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert not np.array_equal(getattr(first, name), getattr(other, name))
