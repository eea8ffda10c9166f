"""The processes of one run: the first runs the command, the others wait for work that it shares with them.

So labels, files, ledger, judging and randomness are one process's, as without the others, and what they share is
arithmetic: the steps of a training, the scoring of images.
"""

import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final

import torch
import torch.distributed as dist

from sequal.errors import SequalError, SettingsError

__all__ = ["alone", "receive", "run_as_one", "send", "sharing", "together"]

logger = logging.getLogger(__name__)

#: The others wait while the first one reads, judges or writes. Whether a process lives is torchrun's to watch.
_PATIENCE: Final = timedelta(days=30)

_SHARING: ContextVar[bool] = ContextVar("sharing", default=False)


def alone() -> bool:
    """Whether this process computes by itself."""
    return not dist.is_initialized()


def sharing() -> bool:
    """Whether all processes work on the same just now; what the first one does apart from that, it does by itself."""
    return _SHARING.get() and not alone()


def run_as_one(command: Callable[[], object]) -> None:
    """Run a command in the first of the processes that torchrun started, and let the others help until it ends.

    Args:
        command: what a single process would run. An error in it ends all processes.

    Raises:
        SettingsError: there are more processes than GPUs.
        SystemExit: in a helper, when another process or its own part failed.
    """
    cuda = torch.cuda.is_available()
    if cuda:
        check_gpus(int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count())
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo", timeout=_PATIENCE)
    try:
        if dist.get_rank() > 0:
            _help()
        else:
            command()
    finally:
        if not alone():
            if dist.get_rank() == 0:
                send(None)
            dist.destroy_process_group()


def check_gpus(processes: int, gpus: int) -> None:
    """Each process of a machine needs a GPU of its own.

    Raises:
        SettingsError: there are too few.
    """
    if processes > gpus:
        raise SettingsError(
            f"Expected at most {gpus} processes on this machine, one for each GPU, got {processes}. Start fewer "
            '(`--nproc-per-node`), or set CUDA_VISIBLE_DEVICES="" to compute on CPUs.'
        )


@contextmanager
def together(work: Callable[..., object], *args: object) -> Iterator[None]:
    """While this is open, the others run `work(*args)`; the first process does its own part of it in the body.

    An error in the body leaves the others waiting for a part that never comes. So the group ends with it, and they
    with the group.

    Args:
        work: a function of a module.
        args: what `torch.save` can write; tensors on a GPU arrive on the helper's own.

    Raises:
        SequalError: another process has ended.
    """
    if alone():
        yield
        return
    send((work, args))
    token = _SHARING.set(True)
    try:
        yield
    except BaseException as error:
        dist.destroy_process_group()
        if isinstance(error, dist.DistBackendError) or (isinstance(error, RuntimeError) and "gloo" in str(error)):
            raise SequalError(
                "Expected all processes of this run to go on, got one that has ended; its own message says why. What "
                "was written is kept: start the same command again."
            ) from error
        raise
    finally:
        _SHARING.reset(token)


def send(message: object) -> None:
    """From the first process to all others; None ends what they do."""
    buffer = io.BytesIO()
    torch.save(message, buffer)
    dist.broadcast_object_list([buffer.getvalue()], device=torch.device("cpu"))


def receive() -> Any:  # noqa: ANN401 - whatever the first process sent
    """What the first process sent, as soon as it comes."""
    box: list[bytes] = [b""]
    dist.broadcast_object_list(box, device=torch.device("cpu"))
    return torch.load(io.BytesIO(box[0]), map_location=_here, weights_only=False)


def _here(storage: Any, location: str) -> Any:  # noqa: ANN401 - a storage
    return storage.cuda() if location.startswith("cuda") else storage


def _help() -> None:
    _SHARING.set(True)
    try:
        while (message := receive()) is not None:
            work, args = message
            work(*args)
    except Exception as error:
        rank = dist.get_rank()
        if not isinstance(error, SequalError | RuntimeError):
            logger.exception("Process %d of this run failed", rank)
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(
            f"Error: process {rank} of this run has ended, and the others end with it: {first} "
            "If another process has ended before it, the reason stands in that one's message.\n"
        )
        raise SystemExit(1) from error
