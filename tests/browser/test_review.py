"""The annotator's page shades where the model expects its mask to be wrong."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, expect

from browser.annotator import Annotator, new_annotator
from integration.server import APP, REPOSITORY, Server, running
from sequal.learning.quality.branched import new_branch
from sequal.prediction import checkpoint_payload, load_pair
from sequal.study.state import save_checkpoint

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

SAMPLE = REPOSITORY / "sample-data"
FRAMES = ("p02_f1", "p08_f2")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on two frames and a clip, whose model has an error branch that doubts a little more than it should."""
    folder = tmp_path_factory.mktemp("review")
    study, state = folder / "study", folder / "state"
    study.mkdir()
    state.mkdir()
    for name in FRAMES:
        shutil.copy(SAMPLE / f"{name}.nii.gz", study)
    images = [nib.load(SAMPLE / f"{name}.nii.gz") for name in FRAMES]
    width, height = (min(image.shape[axis] for image in images) for axis in (0, 1))
    pixels = [np.asanyarray(image.dataobj)[:width, :height].reshape(width, height, 1) for image in images]
    nib.save(nib.Nifti1Image(np.concatenate(pixels, axis=2), images[0].affine), study / "clip.nii.gz")
    pair = load_pair(APP / "model" / "pretrained_carotid.pt", torch.device("cpu")).pair
    pair.branch = new_branch(pair, 0)
    with torch.no_grad():
        pair.branch.correct.bias.fill_(1.5)
    save_checkpoint(state / "published.pt", checkpoint_payload(pair, {}))
    with running(study, state, auto_scoring="false") as started:
        yield started


@pytest.fixture
def anna(chromium: Browser, server: Server) -> Iterator[Annotator]:
    with new_annotator(chromium, server.url) as annotator:
        yield annotator


def _shaded(anna: Annotator) -> int:
    """Pixels of the shade on the screen: orange over grey."""
    red, green, blue = np.moveaxis(anna.colours(), 2, 0)
    return int(np.count_nonzero((red - green > 25) & (green - blue > 15)))


def _wait_for_shade(anna: Annotator, shown: bool = True) -> None:
    anna.page.wait_for_function(f"() => Boolean(sequal.view.things.review) === {str(shown).lower()}", timeout=30_000)
    anna.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def test_one_key_shades_where_the_model_expects_to_be_wrong(anna: Annotator, server: Server, pictures: Path) -> None:
    anna.open("p02_f1")
    anna.part("run").click()
    anna.wait_for_model()
    drawn = anna.mask()
    assert _shaded(anna) == 0
    anna.press("v")
    _wait_for_shade(anna)
    assert _shaded(anna) > 300
    expect(anna.part("review")).to_be_checked()
    anna.page.screenshot(path=pictures / "review.png")
    area = anna.page.evaluate("() => Array.from(sequal.work.review)")
    file, params = server.client().infer("carotid_review", "p02_f1", {})
    assert params["label_names"] == {"review": 1}
    np.testing.assert_array_equal(np.array(area), np.asanyarray(nib.load(file).dataobj).ravel(order="F"))
    np.testing.assert_array_equal(anna.mask(), drawn)  # it shades, it draws nothing

    anna.press("v")
    _wait_for_shade(anna, shown=False)
    assert _shaded(anna) == 0
    anna.part("help").click()
    expect(anna.part("dialog")).to_contain_text("Show or hide where the model expects its mask to be wrong")


def test_the_shade_follows_the_frame_and_is_not_saved(anna: Annotator, server: Server) -> None:
    anna.open("clip")
    anna.part("review").check()
    _wait_for_shade(anna)
    first = anna.page.evaluate("() => Array.from(sequal.view.things.review)")
    anna.press("ArrowRight")
    anna.page.wait_for_function("() => (sequal.view.things.review || {}).byteOffset === sequal.work.mask.size")
    second = anna.page.evaluate("() => Array.from(sequal.view.things.review)")
    assert any(first)
    assert any(second)
    assert first != second

    anna.open("p08_f2")  # another frame, after a reload: the choice stays
    _wait_for_shade(anna)
    assert anna.page.evaluate("() => sequal.view.things.review.length") == anna.mask().size
    anna.choose("brush")
    anna.stroke([(30, 60), (80, 60)])
    drawn = anna.mask()
    anna.part("save").click()
    anna.says(re.compile("^Saved"))
    np.testing.assert_array_equal(server.stored_label("p08_f2").reshape(drawn.shape), drawn)


def test_a_model_that_cannot_say_where_is_told_in_words(anna: Annotator) -> None:
    reason = "Expected the model in service to have an error branch"
    anna.page.route(
        "**/infer/carotid_review**", lambda route: route.fulfill(status=400, json={"detail": f"{reason}, got none."})
    )
    anna.open("p02_f1")
    anna.press("v")
    anna.says(re.compile(reason))
    expect(anna.part("review")).not_to_be_checked()
