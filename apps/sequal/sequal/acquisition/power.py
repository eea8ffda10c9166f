"""A score with chance in it: hard images are drawn more often, and easy ones are not forgotten."""

import hashlib
import math
from typing import Final

__all__ = ["POWER", "power_score"]

#: Name of the score and of its strategy.
POWER: Final = "layer_entropy_power"


def power_score(score: float, image: str, seed: int, digest: str) -> float:
    """The order in which images are drawn one after the other, each with a chance proportional to its score.

    Power acquisition (Kirsch et al., *Stochastic Batch Acquisition*, TMLR 2023, with β = 1): the images of the highest
    log s + G, G of a Gumbel distribution, are a draw without replacement with chances proportional to s. The model is
    uncertain where it fails, and certain of frames whose layer a reader draws by another convention than it learnt:
    the highest scores alone leave these out.

    Args:
        score: ≥ 0, higher is asked for first.
        image: id; with seed and model it stands for the draw, so that an image keeps its place until the model changes.
        seed: of the study, or of an experiment's cell.
        digest: of the model that scored.

    Returns:
        log s + G; −∞ for a score of 0, NaN for NaN.

    >>> power_score(0.2, "p01", 0, "a") == power_score(0.2, "p01", 0, "a") != power_score(0.2, "p01", 0, "b")
    True
    """
    if math.isnan(score):
        return math.nan
    if score <= 0:
        return -math.inf
    drawn = hashlib.sha256(f"{seed} {digest}\0{image}".encode()).digest()
    uniform = (int.from_bytes(drawn[:7], "big") + 0.5) / 2**56
    return math.log(score) - math.log(-math.log(uniform))
