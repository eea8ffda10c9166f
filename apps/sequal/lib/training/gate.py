"""The gate between a trained pair and the annotators: only a better one is published."""

__all__ = ["may_publish"]


def may_publish(metric: float | None, published_metric: float | None, *, first: bool, finite: bool) -> tuple[bool, str]:
    """Whether a round's pair may be published, and why or why not.

    Args:
        metric: validation Dice of the round's teacher; None without validation images.
        published_metric: that of the published teacher on the same frozen images, evaluated in the same round.
        first: nothing is published yet; starting weights do not count as published.
        finite: every weight of the pair is a finite number.

    >>> may_publish(0.80, 0.80, first=False, finite=True)
    (False, 'validation Dice 0.8000 does not beat the published 0.8000')
    """
    if not finite:
        return False, "training diverged (weights are not finite): use a lower learning_rate"
    if first:
        return True, "first checkpoint of this study"
    if metric is None or published_metric is None:
        return True, "no validation images yet: labels of at least two patients are needed"
    if metric > published_metric:
        return True, f"validation Dice {metric:.4f} beats the published {published_metric:.4f}"
    return False, f"validation Dice {metric:.4f} does not beat the published {published_metric:.4f}"
