from itertools import islice

import numpy as np
import pytest
import torch

from sequal.anatomy.phantom import PhantomFrame
from sequal.commands import pretrain as command
from sequal.commands.pretrain import TEST_SEED, PretrainOptions
from sequal.learning.methods.sequal import MeanTeacherPair
from sequal.learning.networks import Architecture, create_network
from sequal.learning.training.pretrain import frames_used, phantom_batches
from sequal.prediction import checkpoint_payload
from sequal.study.state import load_checkpoint, save_checkpoint
from unit.synthetic_study import band


def small_frame(rng, kind=None, scanner=None):
    """In place of a whole simulated screen, which takes a second: the same type, a fiftieth of the size."""
    _, mask = band(rng, top=int(rng.integers(20, 40)))
    pixels = np.where(mask[:, :, 0] == 1, 200, 60) + rng.integers(0, 30, mask.shape[:2])
    li = np.full(96, float(np.flatnonzero(mask[0, :, 0])[0]))
    return PhantomFrame(pixels.astype(np.uint8), (0.06, 0.06), li, li + 8.0, "ordinary")


@pytest.fixture(autouse=True)
def _small_frames(monkeypatch):
    for module in ("sequal.commands.pretrain", "sequal.anatomy.phantom.patches"):
        monkeypatch.setattr(f"{module}.simulate_frame", small_frame)
    monkeypatch.setattr("sequal.learning.training.pretrain.PATCH", (64, 64))


def test_weights_and_card_are_written(run, tmp_path):
    out = tmp_path / "weights" / "start.pt"
    arguments = ("--steps", 2, "--batch", 2, "--workers", 0, "--test-frames", 4, "--network", "unet")
    result = run("pretrain", *arguments, "--out", out, "--seed", 5)
    assert result.exit_code == 0, result.output
    checkpoint = load_checkpoint(out)
    create_network(Architecture("unet")).load_state_dict(checkpoint.members["teacher"].weights)
    assert checkpoint.meta["phantoms"] == 1  # twelve patches are cut from a frame on average
    assert checkpoint.meta["settings"]["seed"] == 5
    card = out.with_suffix(".md").read_text()
    assert checkpoint.digest in card
    assert "| `network` | unet |" in card
    assert "seed 5" in card
    assert all(f"\n| {scanner} | 1 |" in card for scanner in "ABCD")
    assert "{" not in card


def test_training_goes_on_from_given_weights(run, tmp_path):
    arguments = ("--steps", 2, "--batch", 2, "--workers", 0, "--test-frames", 4)
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    assert run("pretrain", *arguments, "--out", first).exit_code == 0
    result = run("pretrain", *arguments, "--out", second, "--start", first)
    assert result.exit_code == 0, result.output
    assert load_checkpoint(second).meta["iterations"] == 4
    assert f"went on from weights of digest {load_checkpoint(first).digest}" in second.with_suffix(".md").read_text()
    refused = run("pretrain", *arguments, "--out", second, "--start", first, "--network", "dynunet")
    assert refused.exit_code == 2
    assert "--start" in refused.stderr


def test_the_result_can_be_averaged_with_given_weights(run, tmp_path):
    arguments = ("--steps", 2, "--batch", 2, "--workers", 0, "--test-frames", 4)
    first, second, mean = tmp_path / "first.pt", tmp_path / "second.pt", tmp_path / "mean.pt"
    assert run("pretrain", *arguments, "--out", first).exit_code == 0
    assert run("pretrain", *arguments, "--out", second, "--start", first).exit_code == 0
    assert run("pretrain", *arguments, "--out", mean, "--start", first, "--average-with", first).exit_code == 0
    a, b, averaged = (load_checkpoint(path).members["teacher"].weights for path in (first, second, mean))
    for name, tensor in averaged.items():
        if tensor.is_floating_point():
            torch.testing.assert_close(tensor, (a[name] + b[name]) / 2)
    assert f"averaged with weights of digest {load_checkpoint(first).digest}" in mean.with_suffix(".md").read_text()
    refused = run("pretrain", *arguments, "--out", mean, "--average-with", first, "--network", "dynunet")
    assert refused.exit_code == 2
    assert "--average-with" in refused.stderr


def test_test_frames_are_others_than_those_of_any_training(tmp_path):
    trained = [np.random.default_rng([seed, index]).random() for seed in range(3) for index in range(20)]
    judged = [np.random.default_rng([TEST_SEED, place, index]).random() for place in range(5) for index in range(4)]
    assert not set(trained) & set(judged)
    first = command._test_phantom(0, "A", 0)
    assert np.array_equal(first.pixels, command._test_phantom(0, "A", 0).pixels)
    assert not np.array_equal(first.pixels, command._test_phantom(1, "A", 0).pixels)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--network", "transformer"), "network"),
        (("--batch", 65), "batch_labelled"),
        (("--device", "gpu"), "device"),
        (("--seed", TEST_SEED), "--seed"),
        (("--learning-rate", 0), "learning_rate"),
        (("--out", "weights.md"), "--out"),
    ],
)
def test_bad_options_are_refused_before_anything_is_simulated(run, tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    result = run("pretrain", "--workers", 0, "--out", "x.pt", *arguments)
    assert result.exit_code == 2
    assert named in result.stderr
    assert not list(tmp_path.iterdir())


def test_defaults_are_those_of_the_command_line():
    assert PretrainOptions(out=None).settings().batch_labelled == 4


def test_the_same_seed_and_processes_give_the_same_batches():
    chosen = PretrainOptions(out=None).settings()
    here, again, beside = (
        list(islice(phantom_batches(3, seed, chosen, workers), 4)) for seed, workers in ((1, 0), (1, 0), (2, 0))
    )
    for one, other in zip(here, again, strict=True):
        assert torch.equal(one.view, other.view)
        assert torch.equal(one.label, other.label)
        assert one.view.shape == (3, 1, 64, 64)
    assert not torch.equal(here[0].view, beside[0].view)


def test_processes_share_the_frames(monkeypatch):
    """Two processes simulate every other frame each; forked, they see the small frames of this module."""
    batches = list(islice(phantom_batches(2, 1, PretrainOptions(out=None).settings(), workers=2), 3))
    assert [len(batch.label) for batch in batches] == [2, 2, 2]
    assert frames_used(30, 4) == 10


def test_a_branch_leaves_the_networks_as_they_were_and_goes_into_the_card(run, tmp_path, monkeypatch):
    monkeypatch.setattr("sequal.anatomy.phantom.hospital.simulate_frame", lambda rng, **_: small_frame(rng))
    arguments = ("--batch", 2, "--workers", 0, "--test-frames", 4)
    plain, out = tmp_path / "plain.pt", tmp_path / "branched.pt"
    assert run("pretrain", "--steps", 2, *arguments, "--out", plain).exit_code == 0
    result = run("pretrain", "--steps", 4, *arguments, "--out", out, "--branch-of", plain)
    assert result.exit_code == 0, result.output
    before, after = load_checkpoint(plain), load_checkpoint(out)
    assert before.branch is None
    for name, member in before.members.items():
        assert all(torch.equal(value, after.members[name].weights[key]) for key, value in member.weights.items())
    assert after.branch.weights["correct.bias"].any()
    assert after.meta["iterations"] == before.meta["iterations"]
    card = out.with_suffix(".md").read_text()
    assert card.count("## Error branch") == card.count("## File") == 1
    assert after.digest in card
    assert before.digest not in card
    assert "| `network` | unet |" in card
    assert "On 4 such frames" in card
    again = run("pretrain", "--steps", 4, *arguments, "--out", out, "--branch-of", out)
    assert again.exit_code == 0
    assert out.with_suffix(".md").read_text().count("## Error branch") == 1
    # A branch that is there is not gone on from: the seed says what comes out.
    replaced = load_checkpoint(out).branch
    assert all(torch.equal(value, replaced.weights[key]) for key, value in after.branch.weights.items())


def test_a_branch_needs_weights_for_frames(run, tmp_path):
    pair = MeanTeacherPair(Architecture("unet", spatial_dims=3, filters=2))
    save_checkpoint(tmp_path / "v.pt", checkpoint_payload(pair, {}, "volume"))
    refused = run("pretrain", "--out", tmp_path / "o.pt", "--branch-of", tmp_path / "v.pt")
    assert refused.exit_code == 2
    assert "--branch-of" in refused.stderr
