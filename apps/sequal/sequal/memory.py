"""Memory that is used no more goes back to the system."""

import ctypes
import logging
from typing import Final

__all__ = ["give_large_blocks_back"]

logger = logging.getLogger(__name__)

#: `M_MMAP_THRESHOLD` of glibc's <malloc.h>.
_MMAP_THRESHOLD: Final = -3
_LARGE: Final = 4 << 20


def give_large_blocks_back() -> bool:
    """Give blocks of 4 MiB and more back to the system as soon as they are free.

    By itself glibc keeps blocks of up to 32 MiB for later, in each thread apart: a server whose threads took turns at
    images of a million pixels kept 800 MiB that it did not need, and would have kept more with more threads.

    Returns:
        Whether the C library of this process knows this.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, another system
        return False
    known = bool(mallopt(_MMAP_THRESHOLD, _LARGE))
    if not known:
        logger.info("This C library keeps large blocks of memory")
    return known
