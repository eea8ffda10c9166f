"""The contrast term of S2: features of uncertain voxels against the prototypes of the classes."""

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["prototype_contrast_loss"]

#: Features that are shorter are not stretched to length 1: where dropout and ReLU leave nothing of them, half precision
#: would make their gradient infinite, and NaN behind the dropout.
_SHORTEST: Final = 0.01


def prototype_contrast_loss(
    features: Tensor,
    classes: Tensor,
    reliable: Tensor,
    generator: torch.Generator,
    temperature: float = 0.1,
    voxels_per_class: int = 512,
) -> Tensor:
    """Pull the features of uncertain voxels to the prototype of their class, and push them from the other prototypes.

    Features have length 1. The prototype of a class is the mean feature of its reliable voxels, scaled to length 1; no
    gradient flows through it. The loss is InfoNCE (van den Oord et al. 2018): the mean of
    −log softmax_k(f · prototype_k / temperature) at the voxel's own class, over the uncertain voxels. In the published
    code of S2 this term carries no gradient.

    Args:
        features: penultimate features (B, F, *spatial) of one network, on the grid of the classes or a coarser one.
        classes: the class that each voxel is taken for (B, *spatial), int64 ≥ 0; for example the hard label of the
            other network.
        reliable: bool (B, *spatial): True builds prototypes, False is an uncertain voxel (`reliable_voxels`).
        generator: on the CPU; draws the voxels where a class has more uncertain ones than `voxels_per_class`.
        temperature: > 0.
        voxels_per_class: at most so many uncertain voxels of each class count, which bounds memory and keeps the
            background from outweighing the rest.

    Returns:
        A scalar; 0 with a gradient of 0 where fewer than two classes have reliable voxels, or no voxel of theirs is
        uncertain.
    """
    grid = features.shape[2:]
    if grid != classes.shape[1:]:
        classes, reliable = (_on_grid(values, grid) for values in (classes, reliable))
    flat = features.float().movedim(1, 0).flatten(1)
    classes, reliable = classes.flatten(), reliable.flatten()
    members = [(classes == number) & reliable for number in range(int(classes.max()) + 1)]
    present = [number for number, mask in enumerate(members) if bool(mask.any())]
    if len(present) < 2:
        return features.sum() * 0.0
    chosen = [
        _draw(torch.nonzero((classes == number) & ~reliable)[:, 0], voxels_per_class, generator) for number in present
    ]
    voxels = torch.cat(chosen)
    if len(voxels) == 0:
        return features.sum() * 0.0
    targets = torch.cat([torch.full_like(drawn, index) for index, drawn in enumerate(chosen)])
    prototypes = _prototypes(flat.detach(), torch.stack([members[number] for number in present]))
    anchors = F.normalize(flat[:, voxels], dim=0, eps=_SHORTEST)
    return F.cross_entropy(anchors.T @ prototypes / temperature, targets)


def _on_grid(values: Tensor, grid: torch.Size) -> Tensor:
    return F.interpolate(values[:, None].float(), size=tuple(grid), mode="nearest")[:, 0].to(values.dtype)


def _draw(indices: Tensor, count: int, generator: torch.Generator) -> Tensor:
    if len(indices) <= count:
        return indices
    return indices[torch.randperm(len(indices), generator=generator)[:count].to(indices.device)]


def _prototypes(features: Tensor, members: Tensor) -> Tensor:
    """Directions (F, K) of the mean over the members (K, N) of each class of the normalised features (F, N)."""
    with torch.autocast(features.device.type, enabled=False):  # the sum over a patch is more than half precision holds
        weights = members / features.norm(dim=0).clamp(min=1e-12)  # a normalised copy of all features would be large
        return F.normalize(features @ weights.T, dim=0)
