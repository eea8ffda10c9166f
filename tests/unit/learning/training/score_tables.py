"""Simulated tables of what labels say about a round, as rounds on real frames showed them.

Seen with the shipped weights on carotid frames, degraded phantoms and aponeuroses (learning rate 0.001, 240 steps, the
early look after 40): correct labels on frames on which the model in service failed were met with a Dice of 0.5 to 0.9
by then, labels of another place with 0 to 0.2, and at the end about half of those were known by heart.
"""

import numpy as np

from sequal.learning.training.gate import LabelFigures


def good_round(rng, labels, *, known=0, failing=0.1, another_task=False):
    """A round of correct labels.

    Args:
        rng: of the round.
        labels: how many.
        known: of these, learnt from before.
        failing: part of the frames on which the model in service finds something else.
        another_task: the expert wants a structure that the model in service does not mark at all.
    """
    found = []
    for index in range(labels):
        fails = another_task or rng.random() < failing
        before = _dice(rng, 0.05, 0.08) if fails else _dice(rng, 0.85, 0.08)
        early = _dice(rng, 0.7, 0.12) if fails else _dice(rng, before, 0.06)
        after = max(early, _dice(rng, 0.88, 0.05))
        if rng.random() < 0.04:  # another wall is found where the right one was
            after = _dice(rng, before - 0.3, 0.1)
        found.append(_figures(index, before, early, after, new=index >= known))
    return found


def poisoned_round(rng, labels, bad, *, known=0):
    """A round of which the last `bad` labels lie elsewhere: on the near wall, shifted, or on another structure."""
    found = good_round(rng, labels - bad, known=known)
    for index in range(labels - bad, labels):
        after = _dice(rng, 0.7, 0.1) if rng.random() < 0.5 else _dice(rng, 0.02, 0.05)
        found.append(_figures(index, _dice(rng, 0.0, 0.03), _dice(rng, 0.06, 0.08), after, new=True))
    return found


def _dice(rng, mean, spread):
    return float(np.clip(rng.normal(mean, spread), 0.0, 1.0))


def _figures(index, before, early, after, new):
    return LabelFigures(f"im{index}", f"p{index}", before, early, after, new)
