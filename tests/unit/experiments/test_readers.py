import numpy as np
import pytest

from sequal.experiments import Plan
from sequal.experiments.overlap import dice
from sequal.experiments.readers import Readers

PIXEL_MM = (0.06, 0.06)


@pytest.fixture
def mask():
    layer = np.zeros((96, 64), np.uint8)
    layer[10:90, 30:40] = 1
    return layer


def readers(seed=0, **changes):
    return Readers(Plan.of({"phantom": 40, "phantom_test": 1, **changes}), seed)


def test_a_label_depends_on_the_seed_and_the_image_alone(mask):
    first = readers().label("a", mask, PIXEL_MM)
    others = readers()
    others.label("b", mask, PIXEL_MM)
    assert np.array_equal(others.label("a", mask, PIXEL_MM), first)
    assert not np.array_equal(others.label("b", mask, PIXEL_MM), first)
    assert not np.array_equal(readers(seed=1).label("a", mask, PIXEL_MM), first)


def test_without_noise_the_traced_columns_are_the_truth(mask):
    label = readers(noise="none", traced=(0.5, 0.5)).label("a", mask, PIXEL_MM)
    drawn = (label == 1).any(axis=1)
    assert drawn.sum() == 40
    assert np.array_equal(label[drawn], mask[drawn])
    assert (label[~drawn] == 255).all()


def test_a_careful_reader_has_no_bias(mask):
    thickness = [
        (readers(seed=seed, noise="careful", traced=(1, 1)).label("a", mask, PIXEL_MM) == 1).sum(axis=1)[10:90]
        for seed in range(20)
    ]
    assert np.mean(thickness) == pytest.approx(10.0, abs=0.15)
    assert np.std(thickness) > 0.2


@pytest.mark.parametrize("fusion", ["majority", "staple"])
def test_several_readers_are_fused(mask, fusion):
    if fusion == "staple":
        pytest.importorskip("SimpleITK")
    one = [readers(seed=seed, traced=(1, 1)).label("a", mask, PIXEL_MM) for seed in range(8)]
    fused = [
        readers(seed=seed, traced=(1, 1), readers=5, fusion=fusion).label("a", mask, PIXEL_MM) for seed in range(8)
    ]
    assert np.mean([dice(label, mask, on=label) for label in fused]) > np.mean([dice(y, mask, on=y) for y in one])


def test_without_fusion_each_image_has_one_of_the_readers(mask):
    alone = readers(readers=3, fusion="none")
    drawn = {image: alone.label(image, mask, PIXEL_MM) for image in "abcdefgh"}
    chosen = set()
    for image, label in drawn.items():
        by_reader = [r.annotate_mask(mask, PIXEL_MM, alone._rng(image, i)) for i, r in enumerate(alone._readers)]
        (found,) = [index for index, other in enumerate(by_reader) if np.array_equal(other, label)]
        chosen.add(found)
    assert len(chosen) > 1
