"""Networks that evaluate for a while, and are left as they were."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

__all__ = ["dropout_layers", "evaluating", "only_dropout_trains"]


def dropout_layers(networks: Sequence[nn.Module]) -> list[nn.Module]:
    """The dropout layers that drop something; a network may have none."""
    every = (layer for network in networks for layer in network.modules())
    return [layer for layer in every if isinstance(layer, _DropoutNd) and layer.p > 0]


@contextmanager
def evaluating(networks: Sequence[nn.Module]) -> Iterator[None]:
    """All layers of the networks evaluate meanwhile; afterwards each has the mode that it had.

    Training, dropout would draw from torch's generator, and batch norm would count what it sees among its batches. A
    network that evaluates already is not gone through, since that takes milliseconds.
    """
    switched = [network for network in networks if network.training]
    modes = {layer: layer.training for network in switched for layer in network.modules()}
    for network in switched:
        network.eval()
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


@contextmanager
def only_dropout_trains(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Only dropout trains meanwhile (Gal, Islam & Ghahramani, ICML 2017); batch norm keeps its statistics."""
    with evaluating(networks):
        modes = {layer: layer.training for layer in dropout_layers(networks)}
        for layer in modes:
            layer.train()
        try:
            yield
        finally:
            for layer, mode in modes.items():
                layer.training = mode
