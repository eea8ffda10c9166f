"""`pretrain --branch-of`: an error branch for starting weights whose networks stay as they are."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch

from sequal.anatomy.measurement import label_dice
from sequal.anatomy.phantom.patches import PhantomSample
from sequal.commands.console import OUT, progress_bar
from sequal.errors import SettingsError, StudyError
from sequal.experiments.failure_detection import error_map_dice, mean_absolute_error, spearman
from sequal.learning.networks import NetworkPair
from sequal.learning.quality.branched import Branched
from sequal.learning.quality.expected import error_anywhere, predicted_dice
from sequal.learning.training.pretrain_branch import branch_frames, frames_for, pretrain_branch, whole
from sequal.prediction import checkpoint_payload, load_pair
from sequal.settings import Settings
from sequal.study.state import file_digest, save_checkpoint

__all__ = ["branch_command"]

_HEADING: Final = "## Error branch"
_FILE: Final = re.compile(r"^`[^`]+\.pt`, digest [0-9a-f]{16}, [\d.]+ MB\.", re.MULTILINE)
_TEXT: Final = """\
{heading}
It says where the mask is wrong, and so which Dice to expect of it. Trained by `cli.py pretrain --branch-of` on
{frames} simulated frames of seed {seed}, a third as above and two thirds of drawn hospitals, in {steps} steps of two
frames, learning rate {rate}, {seconds:.0f} s; the networks stayed as they were, bit by bit. On {judged} such frames of
seed {test_seed}, masks as the networks give them, mean Dice {dice:.3f}: rank correlation of predicted and true Dice
{rank:.3f}, mean absolute error {error:.3f}, Dice of the map of errors {map:.3f}.

"""


def branch_command(
    weights: Path, out: Path, settings: Settings, device: torch.device, *, judged: int, test_seed: int
) -> None:
    """Train a branch for starting weights, judge it on held-out frames, and write checkpoint and card.

    Args:
        weights: checkpoint of frames, of any method; a branch that it has is replaced.
        out: checkpoint to write; the card beside `weights` goes beside it, with a part about the branch.
        settings: `iterations_per_epoch` steps, `learning_rate`, `weight_decay` and `seed`.
        device: where to train.
        judged: held-out frames.
        test_seed: of these.

    Raises:
        SettingsError: the weights are not of frames.
        StudyError: the card cannot be read or written.
    """
    loaded = load_pair(weights, device)
    if loaded.model != "carotid":
        raise SettingsError(
            f"Expected `--branch-of` to be weights for frames, got those of {loaded.model!r}. Its rounds train one."
        )
    loaded.pair.branch = None  # an older one is replaced: what comes out depends on the seed alone
    steps = settings.iterations_per_epoch
    count, began = frames_for(steps), time.monotonic()
    with progress_bar() as bar:
        making = bar.add_task("Simulating", total=count + judged)
        frames = branch_frames(count, settings.seed, settings, lambda n: bar.update(making, completed=n))
        held_out = branch_frames(judged, test_seed, settings, lambda n: bar.update(making, completed=count + n))
        task = bar.add_task("Training", total=steps)
        pretrain_branch(loaded.pair, frames, settings, lambda step, _: bar.update(task, completed=step))
    seconds = time.monotonic() - began
    made = {"frames": count, "seed": settings.seed, "steps": steps, "learning_rate": settings.learning_rate}
    save_checkpoint(out, checkpoint_payload(loaded.pair, {**loaded.meta, "branch": made}, loaded.model))
    figures = _judge(loaded.pair, held_out, device)
    rate = f"{settings.learning_rate:g}"
    text = _TEXT.format(
        heading=_HEADING, **{**made, **figures}, rate=rate, seconds=seconds, judged=judged, test_seed=test_seed
    )
    card = _write_card(weights.with_suffix(".md"), out, text)
    OUT.print(text.rstrip(), markup=False)
    OUT.print(f"{out} and {card} are written.", markup=False)


@torch.inference_mode()
def _judge(pair: NetworkPair, frames: Sequence[PhantomSample], device: torch.device) -> dict[str, float]:
    branched = Branched.shown(pair)
    assert branched is not None
    pair.eval()
    true, predicted, maps = [], [], []
    for frame in frames:
        view, _ = whole(frame, device)
        logits, errors = branched(view)
        width, height = frame.label.shape
        classes = Branched.mean(logits).max(dim=1).indices[..., :width, :height]
        wrong = torch.sigmoid(errors)[..., :width, :height]
        shown = classes[0].cpu().numpy().astype(np.uint8)
        true.append(label_dice(shown, frame.label))
        predicted.append(float(predicted_dice(classes, wrong)[0]))
        maps.append(error_map_dice(error_anywhere(classes, wrong)[0].cpu().numpy(), shown != frame.label))
    found = [value for value in maps if value is not None]
    return {
        "dice": float(np.mean(true)),
        "rank": spearman(true, predicted),
        "error": mean_absolute_error(true, predicted),
        "map": float(np.mean(found)) if found else float("nan"),
    }


def _write_card(of_weights: Path, checkpoint: Path, text: str) -> Path:
    """The card of the weights with the part about the branch and the file as it is now."""
    card = checkpoint.with_suffix(".md")
    try:
        old = of_weights.read_text(encoding="utf-8")
        start = old.find(_HEADING)
        if start >= 0:
            end = old.find("\n## ", start)
            old = old[:start] + old[end + 1 :]
        file = f"`{checkpoint.name}`, digest {file_digest(checkpoint)}, {checkpoint.stat().st_size / 1e6:.1f} MB."
        new = _FILE.sub(file, old)
        place = new.find("## File")
        card.write_text(new[:place] + text + new[place:], encoding="utf-8")
    except OSError as error:
        raise StudyError(
            f"Expected the card `{of_weights}` to be there and `{card}` to be writable, got: {error}. Weights travel "
            "with their card."
        ) from error
    return card
