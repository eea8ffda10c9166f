"""One batch of patches divided among the processes, with the losses and gradients of the whole batch.

Each process passes its patches through the networks. The logits of all come together in each, and every process takes
the loss of the whole batch. So a loss may look at all patches at once, as soft Dice, a quantile of the entropy and
prototypes do, and knows nothing of processes. What is computed more than once is the loss alone.
"""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.parallel import DistributedDataParallel

from sequal.distributed.processes import alone, sharing
from sequal.learning.networks.dropout import kept

__all__ = ["as_one", "in_parts", "look_at_whole_batches"]

#: The patches that this process passes through a network just now, and how many the batch has.
_PART: ContextVar[tuple[slice, int] | None] = ContextVar("part", default=None)


def look_at_whole_batches(networks: nn.Module) -> None:
    """Let the layers that look at more than one patch, or draw for it, do so for the whole batch inside `in_parts`.

    Batch norm takes the statistics of all patches. Dropout draws for all of them, so that processes whose generators
    agree leave out what one process would.
    """
    if alone():
        return
    for layer in networks.modules():  # as torch's lazy layers become what they stand for
        if isinstance(layer, _DropoutNd):
            layer.whole_maps = not isinstance(layer, nn.Dropout)  # type: ignore[assignment]
            layer.__class__ = _DropoutOfAll
        elif isinstance(layer, _BatchNorm):
            layer.__class__ = _BatchNormOfAll if layer.weight.is_cuda else _BatchNormOnCpus


def as_one(network: nn.Module) -> nn.Module:
    """A network that learns in all processes at once: the mean of the gradients of all reaches it.

    Returns:
        The network itself without other processes; else a wrapper around it, with the same weights.
    """
    if alone():
        return network
    # Some of MONAI's networks have layers that they do not use.
    return DistributedDataParallel(network, forward_sync_buffers=False, find_unused_parameters=True)


def in_parts(work: Callable[[Tensor], tuple[Tensor, ...]], patches: Tensor) -> tuple[Tensor, ...]:
    """What `work(patches)` gives, where each process works on some of the patches.

    A batch with fewer patches than processes is worked on as a whole by each, and so is one outside `together`.

    Args:
        work: from (N, …) to tensors (N, …), each patch on its own but for layers that `look_at_whole_batches` changed.
        patches: (B, …), the same in all processes.

    Returns:
        Tensors (B, …), the same in all processes. Their gradient reaches the patches of this process, and is such that
        the mean over the processes is that of the whole batch.
    """
    if not sharing() or len(patches) < dist.get_world_size():
        return work(patches)
    here = _part(len(patches), dist.get_rank(), dist.get_world_size())
    token = _PART.set((here, len(patches)))
    try:
        return tuple(_whole(part, here, len(patches)) for part in work(patches[here]))
    finally:
        _PART.reset(token)


def _part(size: int, rank: int, processes: int) -> slice:
    """Patches of one process; no process has two more than another.

    >>> [_part(4, rank, 3) for rank in range(3)]
    [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    each, more = divmod(size, processes)
    begin = rank * each + min(rank, more)
    return slice(begin, begin + each + (rank < more))


def _whole(part: Tensor, here: slice, size: int) -> Tensor:
    whole: Tensor = _Whole.apply(part, here, size)  # type: ignore[no-untyped-call]
    return whole


def _sum(value: Tensor) -> Tensor:
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


class _Whole(Function):
    """The parts of all processes in one tensor; all take the same loss of it, so each has its gradient already."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, here: slice, size: int) -> Tensor:  # noqa: ANN401 - as torch has it
        ctx.here = here
        whole = part.new_zeros(size, *part.shape[1:])
        whole[here] = part
        dist.all_reduce(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        return gradient[ctx.here] * dist.get_world_size(), None, None


class _Sum(Function):
    """The sum over all processes, each of which depends on it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:  # noqa: ANN401
        value = value.clone()
        dist.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        return _Sum.forward(ctx, gradient)


class _BatchNormOfAll(nn.SyncBatchNorm):
    """Batch norm by the statistics of the whole batch, as torch has it for GPUs."""

    process_group = None

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if _PART.get() else _BatchNorm.forward(self, x)


class _BatchNormOnCpus(_BatchNorm):
    """The same on CPUs, which torch's refuses."""

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def _check_input_dim(self, input: Tensor) -> None:
        """Any."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or _PART.get() is None:
            return super().forward(x)
        over = [0, *range(2, x.ndim)]
        count = _sum(x.new_tensor(x.numel() / x.shape[1], dtype=torch.float32))
        mean = _sum(x.float().sum(over)) / count
        variance = _sum((x - _by_channel(mean, x)).square().sum(over)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            # By `data`: of patches passed as a whole, torch keeps them for the backward pass.
            self.running_mean.data.lerp_(mean, self.momentum)
            self.running_var.data.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return torch.addcmul(_by_channel(shift, x), x, _by_channel(scale, x)).to(x.dtype)


class _DropoutOfAll(_DropoutNd):
    """Dropout by the draw of the whole batch."""

    whole_maps: bool

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        here, size = _PART.get() or (slice(None), len(x))
        if self.whole_maps:
            shape = [size, x.shape[1], *[1] * (x.ndim - 2)]
            return x * x.new_empty(shape).bernoulli_(1 - self.p)[here].div_(1 - self.p)
        return x * kept(torch.Size([size, *x.shape[1:]]), self.p, x)[here]


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *[1] * (like.ndim - 2))
