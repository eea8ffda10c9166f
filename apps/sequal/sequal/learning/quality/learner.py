"""What the error branch learns in each step of a training, whatever the method."""

import copy
from collections.abc import Sequence
from itertools import chain
from typing import Final

import torch
from torch import Tensor, nn

from sequal.distributed import in_parts
from sequal.labels import IGNORE
from sequal.learning.networks import NetworkPair, evaluating
from sequal.learning.quality.branched import Branched, new_branch
from sequal.learning.quality.loss import error_loss
from sequal.learning.quality.varied import degraded, dropping

__all__ = ["QualityLearner"]

#: How what it sees is made: as it is, by spoilt images, by dropout, or by the weights from which the training began.
_KINDS: Final = ("as it is", "spoilt", "dropout", "earlier")


class QualityLearner:
    """Gives the loss of a pair's error branch for a batch, on predictions of varied quality (S3).

    Detached, the default, it learns from what annotators are shown and no gradient reaches the networks: their weights
    and their random streams are, bit by bit, those of a training without a branch. Otherwise it learns from the
    networks that learn, as they train, and they learn from its loss.

    Args:
        pair: gets a branch if it has none.
        seed: of a new branch, and of what is drawn; torch's own generator is not used.
        detach: whether the gradient ends at the features.
    """

    def __init__(self, pair: NetworkPair, seed: int, *, detach: bool) -> None:
        self.branch = pair.branch = pair.branch or new_branch(pair, seed)
        self._detach = detach
        self._device = next(self.branch.parameters()).device
        example = next(iter(pair.architectures.values())).example().to(self._device)
        network: nn.Module | Sequence[nn.Module] = pair.shown if detach else pair.learners
        self._now = Branched(network, self.branch, example)
        self._earlier = Branched(copy.deepcopy(pair.shown), self.branch, example)
        self._generator = torch.Generator().manual_seed(seed)

    def loss(self, view: Tensor, label: Tensor) -> Tensor:
        """Of annotated patches of a batch, drawn, at most half as many as it has patches.

        Args:
            view: (B, 1, *spatial).
            label: uint8 of the same shape, classes and 255.

        Returns:
            A scalar with gradients to the branch; 0 where nothing is annotated.
        """
        annotated = torch.nonzero((label != IGNORE).flatten(1).any(dim=1).cpu())[:, 0]
        if not len(annotated):
            return view.new_zeros(())
        count = max(1, len(label) // 2)  # more would cost more than a quarter of the step
        chosen = annotated[torch.randperm(len(annotated), generator=self._generator)[:count]].to(view.device)
        kind = _KINDS[int(torch.randint(len(_KINDS), (), generator=self._generator))]
        seed = int(torch.randint(2**31, (), generator=self._generator))
        view, label = view[chosen], label[chosen]
        if kind == "spoilt":
            view = degraded(view, self._generator)
        found = in_parts(lambda patches: tuple(chain(*self._pass(patches, kind, seed))), view)
        logits, features = found[: len(found) // 2], found[len(found) // 2 :]
        shown = Branched.mean(logits)
        return error_loss(self.branch(features, shown), shown.detach(), label)

    def _pass(self, view: Tensor, kind: str, seed: int) -> tuple[list[Tensor], list[Tensor]]:
        if not self._detach:
            return self._now.tap(view)
        branched = self._earlier if kind == "earlier" else self._now
        dropout = kind == "dropout"
        mode = dropping(branched.members, seed, self._device) if dropout else evaluating(branched.members)
        with torch.no_grad(), mode:
            return branched.tap(view)
