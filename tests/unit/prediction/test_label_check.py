import numpy as np
import pytest
import torch

from sequal.anatomy.measurement import label_dice
from sequal.errors import LabelError
from sequal.files.imaging import read_frame, read_label
from sequal.prediction import check_label, learnt_from, load_pair, predict_image
from sequal.study.items import Item
from unit.commands.studies import random_checkpoint
from unit.synthetic_study import make_study, settings, write_label

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load_pair(random_checkpoint(tmp_path_factory.mktemp("weights") / "random.pt"), CPU)


def test_a_label_is_compared_with_what_the_model_shows(tmp_path, loaded):
    item = make_study(tmp_path, labelled=1, unlabelled=0).labelled[0]
    shown = predict_image(read_frame(item.image), loaded, settings(), CPU)
    found = check_label(item, loaded, settings(), CPU, predicted=0.75)
    drawn = read_label(item.label, shown.mask.shape)
    traced = (drawn == 1).any(axis=1)[:, 0]
    assert found.dice == label_dice(shown.mask[traced], drawn[traced])
    assert (found.image, found.checkpoint_digest, found.predicted_dice) == ("im0", loaded.digest, 0.75)
    (size,) = found.sizes
    assert (size["label"], size["unit"]) == ("intima-media", "mm")
    assert check_label(item, loaded, settings(), CPU).predicted_dice == shown.confidence
    assert check_label(item, loaded, settings(), CPU, predicted=float("nan")).predicted_dice == shown.confidence


def test_a_label_that_is_gone_or_damaged_is_named(tmp_path, loaded):
    item = make_study(tmp_path, labelled=1, unlabelled=0).labelled[0]
    with pytest.raises(LabelError, match="got none"):
        check_label(Item("im0", item.image), loaded, settings(), CPU)
    write_label(item.label, np.ones((3, 3, 1)))
    with pytest.raises(LabelError, match="size of its frame"):
        check_label(item, loaded, settings(), CPU)


def test_a_model_has_learnt_from_the_images_of_its_round_and_those_before(tmp_path):
    ledger = make_study(tmp_path, labelled=1, unlabelled=0).state.ledger
    for number, images in enumerate((["a"], ["a", "b"]), start=1):
        started = ledger.start_round(
            settings={}, seed=0, versions={}, train_ids=images, validation_ids=[], unlabelled_count=0
        )
        assert started == number
    rounds = ledger.rounds()
    assert [learnt_from(rounds, number) for number in (0, 1, 2, None)] == [set(), {"a"}, {"a", "b"}, {"a", "b"}]
