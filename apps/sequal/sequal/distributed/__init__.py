"""Several processes that compute as one, by torch.distributed: the first runs the command, the others help it."""

from sequal.distributed.batches import as_one, in_parts, look_at_whole_batches
from sequal.distributed.items import spread
from sequal.distributed.processes import alone, receive, run_as_one, send, together

__all__ = [
    "alone",
    "as_one",
    "in_parts",
    "look_at_whole_batches",
    "receive",
    "run_as_one",
    "send",
    "spread",
    "together",
]
