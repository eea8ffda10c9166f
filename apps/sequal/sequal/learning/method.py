"""What a method is: a pair of networks and the trainer that lets them learn."""

from dataclasses import dataclass

from sequal.learning.networks import NetworkPair
from sequal.learning.trainer import PairTrainer

__all__ = ["Method"]


@dataclass(frozen=True)
class Method:
    """How networks learn. A file in `methods/` declares one as `METHOD`; its name there is that of the setting.

    Attributes:
        pair: builds the networks, says which is shown and which are compared.
        trainer: one step at a time.
    """

    pair: type[NetworkPair]
    trainer: type[PairTrainer]
