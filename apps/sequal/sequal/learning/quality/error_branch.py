"""The error branch: from a network's last features and its prediction to where that prediction is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sequal.errors import CheckpointError

__all__ = ["CELL", "ErrorBranch"]

#: The branch works on cells of so many pixels or voxels along every side.
CELL: Final = 4
#: Log-odds beyond this say no more, and a prediction in half precision can be infinitely sure.
_SUREST: Final = 12.0


class ErrorBranch(nn.Module):
    """For each class but the background, the log-odds that the segmentation is wrong about it at a pixel.

    Wrong about class c means that exactly one of prediction and truth is c: E_c = 1[argmax z = c xor y = c]. So with
    S_c the mask of c, Σ S_c E_c are its false positives and Σ (1 − S_c) E_c its false negatives.

    The branch follows the description of Zhang et al. (TechRxiv 23420516, 2023; S3), whose full text and code we did
    not have: the features before the last layer, re-weighted by attention that is computed from the probabilities p.
    Spatial attention is a convolution over (p, entropy of p, 1 − max p), channel attention a squeeze-and-excitation
    over pooled features and pooled p. Four things are our own:

    - it begins with what the probabilities themselves say, the log-odds of 1 − p_c inside the mask and of p_c outside,
      and learns a correction of that, which is 0 at first: an untrained branch is the network's own confidence;
    - features are pooled over the expected structure as well as over the image, so that a mask on a wrong structure can
      be known as a whole, and the excitation also shifts what it re-weights;
    - it works on cells of four pixels, so that it costs little: features are reduced to few channels first, and the
      pixels of a cell come in and go out as channels;
    - several networks that answer as one (`Ensemble`) give their features side by side.

    Args:
        spatial_dims: 2 or 3.
        features: by member the channels of its features, and how many pixels of the logits one of theirs has along
            every side: 1, 2 or 4.
        classes: channels of the logits, background included.
        width: channels that it works with.
    """

    def __init__(self, spatial_dims: int, features: Sequence[Sequence[int]], classes: int, width: int = 16) -> None:
        super().__init__()
        self.spatial_dims, self.classes, self.width = spatial_dims, classes, width
        self.features = [list(one) for one in features]
        convolution = nn.Conv2d if spatial_dims == 2 else nn.Conv3d
        maps, inner = classes + 2, CELL**spatial_dims
        self.reduce = nn.ModuleList(
            convolution(channels, width, CELL // coarse, stride=CELL // coarse) for channels, coarse in self.features
        )
        self.embed = convolution((classes - 1) * inner, width, 1)
        self.spatial = convolution(maps, 1, 5, padding=2)
        self.squeeze = nn.Linear(2 * width + classes, 16)
        self.excite = nn.Linear(16, 2 * width)
        self.mix = nn.Sequential(
            convolution(width, width, 3, padding=1), nn.ReLU(), convolution(width, width, 3, padding=1), nn.ReLU()
        )
        self.correct = convolution(width, (classes - 1) * inner, 1)
        self.trust = nn.Parameter(torch.ones(()))
        nn.init.zeros_(self.correct.weight)
        nn.init.zeros_(self.correct.bias)  # type: ignore[arg-type]

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """A branch with random weights, of the size that `record` wrote.

        Raises:
            CheckpointError: the record is of something else.
        """
        if record["name"] != "error_branch":
            raise CheckpointError(
                f"Expected the branch of a checkpoint to be an error_branch, got {record['name']!r}. Use the version "
                "of the app that wrote the checkpoint, or a newer one."
            )
        return cls(**record["kwargs"])

    def record(self) -> dict[str, Any]:
        """`{"name": …, "kwargs": …}` of plain values, for a checkpoint."""
        sizes = ("spatial_dims", "features", "classes", "width")
        return {"name": "error_branch", "kwargs": {name: getattr(self, name) for name in sizes}}

    def forward(self, features: Sequence[Tensor], logits: Tensor) -> Tensor:
        """Log-odds that the prediction is wrong about each class but the background.

        Args:
            features: by member (B, F, *fine).
            logits: of what is shown (B, C, *spatial); its sides are multiples of `CELL`.

        Returns:
            Float32 (B, C − 1, *spatial).
        """
        with torch.autocast(logits.device.type, enabled=False):
            odds = _log_odds(logits.float()).clamp(-_SUREST, _SUREST)
            seen = torch.stack([layer(one.float()) for layer, one in zip(self.reduce, features, strict=True)]).sum(
                dim=0
            )
            p = _pooled(torch.sigmoid(odds))
            p = torch.cat([1 - p.sum(dim=1, keepdim=True), p], dim=1).clamp(0, 1)
            maps = torch.cat(
                [p, torch.special.entr(p).sum(dim=1, keepdim=True), 1 - p.amax(dim=1, keepdim=True)], dim=1
            )
            scale, shift = self._excitation(seen, p)
            attended = seen * torch.sigmoid(self.spatial(maps)) * scale
            mixed = self.mix(F.relu(attended + self.embed(_to_depth(odds)) + shift))
            return _to_space(self.correct(mixed), self.spatial_dims) + self.trust * _own_doubt(logits, odds)

    def _excitation(self, seen: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the features and a shift, each (B, width, 1, …), from features and probabilities by cell."""
        foreground = (1 - p[:, :1]).flatten(2)
        flat = seen.flatten(2)
        pooled = [
            flat.mean(dim=2),
            (flat * foreground).sum(dim=2) / foreground.sum(dim=2).clamp_min(1.0),
            p.flatten(2).mean(dim=2),
        ]
        excited = self.excite(F.relu(self.squeeze(torch.cat(pooled, dim=1))))
        scale, shift = excited.view(*excited.shape, *[1] * self.spatial_dims).split(self.width, dim=1)
        return torch.sigmoid(scale), shift


def _log_odds(logits: Tensor) -> Tensor:
    """The log-odds of p_c, log p_c / (1 − p_c), of each class but the background (B, C − 1, *spatial)."""
    if logits.shape[1] == 2:
        return logits[:, 1:] - logits[:, :1]
    others = [logits[:, [k for k in range(logits.shape[1]) if k != c]] for c in range(1, logits.shape[1])]
    return logits[:, 1:] - torch.stack([one.logsumexp(dim=1) for one in others], dim=1)


def _own_doubt(logits: Tensor, odds: Tensor) -> Tensor:
    """Log-odds by class that a prediction is wrong about it, if its probabilities are right (B, C − 1, *spatial)."""
    if logits.shape[1] == 2:
        return -odds.abs()
    numbers = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, *[1] * (logits.ndim - 2))
    return torch.where(logits.max(dim=1, keepdim=True).indices == numbers, -odds, odds)


def _pooled(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, CELL) if x.ndim == 4 else F.avg_pool3d(x, CELL)


def _to_depth(x: Tensor) -> Tensor:
    """(B, C, *spatial) to (B, C · CELL^D, *cells): the pixels of each cell become channels."""
    dims = x.ndim - 2
    split = x.reshape(*x.shape[:2], *(part for side in x.shape[2:] for part in (side // CELL, CELL)))
    within, cells = [3 + 2 * axis for axis in range(dims)], [2 + 2 * axis for axis in range(dims)]
    return split.permute(0, 1, *within, *cells).reshape(x.shape[0], -1, *(side // CELL for side in x.shape[2:]))


def _to_space(x: Tensor, dims: int) -> Tensor:
    """Undo `_to_depth`."""
    cells = x.shape[2:]
    split = x.reshape(x.shape[0], -1, *[CELL] * dims, *cells)
    order = [place for axis in range(dims) for place in (2 + dims + axis, 2 + axis)]
    return split.permute(0, 1, *order).reshape(x.shape[0], -1, *(CELL * side for side in cells))
