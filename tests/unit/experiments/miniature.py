"""A miniature experiment: a bright band in frames of 96 × 64 pixels, a second a round."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from sequal.experiments import Experiment
from unit.synthetic_study import band

SETTINGS = {
    "patch": 64,
    "epochs": 1,
    "iterations_per_epoch": 1,
    "batch_labelled": 1,
    "batch_unlabelled": 1,
}


def make_images(folder: Path, count: int = 10, first: int = 0) -> dict[str, str]:
    """PNG images and masks (0 and 255), numbered from `first`; the options that name them."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(first, first + count):
        pixels, mask = band(rng, (96, 64), top=20 + 2 * (index % 6))
        Image.fromarray(pixels[:, :, 0].T.astype(np.uint8)).save(folder / "images" / f"f{index:02d}.png")
        Image.fromarray(mask[:, :, 0].T * np.uint8(255)).save(folder / "masks" / f"f{index:02d}.png")
    return {"images": str(folder / "images"), "masks": str(folder / "masks")}


def options(images: dict[str, str], /, **changes) -> dict[str, object]:
    return {
        **images,
        "start": 2,
        "budget": 2,
        "rounds": 2,
        "strategies": "random,pld",
        "settings": SETTINGS,
        **changes,
    }


def play(folder: Path, given: dict[str, object]) -> Experiment:
    experiment = Experiment.open(folder, given)
    assert experiment.play("cpu") == []
    return experiment


def results(folder: Path) -> dict[str, dict]:
    """Every round by its file, without what differs from run to run."""
    found = {}
    for path in sorted((folder / "cells").rglob("*.json")):
        record = json.loads(path.read_text())
        assert record.pop("seconds")["train"] >= 0
        found[str(path.relative_to(folder))] = record
    return found
