"""Does an exported network compute what the app computes? Checked at every export."""

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn

from sequal.errors import ExportError
from sequal.files.exporting.reason import reason
from sequal.learning.networks import NETWORK_STRIDE

__all__ = ["LARGEST_DIFFERENCE", "check_agreement", "example_input", "largest_difference"]

#: Of two logits; single precision and another order of sums stay two orders of magnitude below.
LARGEST_DIFFERENCE: Final = 1e-4
_SEED: Final = 0
#: (B, W, H) in strides, none of them the size that the export traced: the smallest, flat, steep, a whole frame.
_SHAPES: Final = ((1, 1, 1), (2, 5, 2), (1, 2, 7), (1, 10, 12))


def example_input() -> Tensor:
    """What an export traces: float32 (2, 1, 96, 64) in 0..1."""
    return _random(2, 3, 2)


@torch.inference_mode()
def largest_difference(network: nn.Module, exported: Callable[[Tensor], Tensor]) -> float:
    """Largest absolute difference of the logits over random inputs of several sizes; NaN when either has one.

    Args:
        network: (B, 1, W, H) to (B, 2, W, H), in evaluation mode.
        exported: the same network in its new form.
    """
    inputs = [_random(*shape) for shape in _SHAPES]
    differences = [(network(x) - torch.as_tensor(exported(x))).abs().max() for x in inputs]
    return float(torch.stack(differences).max())


def check_agreement(network: nn.Module, exported: Callable[[Tensor], Tensor], what: str) -> float:
    """The largest difference, when it is small enough.

    Args:
        network: as for `largest_difference`.
        exported: the same.
        what: name of the new form, for the error.

    Raises:
        ExportError: the two differ, or the new form cannot take an input that the network takes.
    """
    try:
        found = largest_difference(network, exported)
    # Runtimes have exceptions of their own, often derived from RuntimeError, not always.
    except Exception as error:
        raise ExportError(
            f"Expected the {what} to take inputs of any size in multiples of {NETWORK_STRIDE}, got: "
            f"{reason(error)}. Export in another format."
        ) from error
    if not found <= LARGEST_DIFFERENCE:
        raise ExportError(
            f"Expected the {what} to agree with the network within {LARGEST_DIFFERENCE:g}, got a difference of "
            f"{found:.3g}. Export in another format."
        )
    return found


def _random(batch: int, columns: int, rows: int) -> Tensor:
    generator = torch.Generator().manual_seed(_SEED)
    return torch.rand(batch, 1, columns * NETWORK_STRIDE, rows * NETWORK_STRIDE, generator=generator)
