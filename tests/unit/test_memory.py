"""Large blocks of memory go back to the system, whichever thread they belonged to."""

import subprocess
import sys
from pathlib import Path

import pytest

from sequal.memory import give_large_blocks_back

APP = str(Path(__file__).parents[2] / "apps" / "sequal")
#: Threads that take turns at arrays of a few MiB, larger ones first: then glibc takes the smaller ones for usual.
_PROGRAM = """
import sys, threading
sys.path.insert(0, sys.argv[1])
import numpy as np, psutil
from sequal.memory import give_large_blocks_back
if sys.argv[2] == "yes":
    give_large_blocks_back()
def work():
    for _ in range(2):
        held = [np.ones(31 << 20, np.uint8)]
        del held
        held = [np.ones(8 << 20, np.uint8) for _ in range(8)]
        pin = np.ones(1 << 10, np.uint8)
        del held
        pins.append(pin)
pins = []
for _ in range(6):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(psutil.Process().memory_info().rss >> 20)
"""


def _kept(give_back: str) -> int:
    command = [sys.executable, "-c", _PROGRAM, APP, give_back]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_large_blocks_go_back_to_the_system() -> None:
    assert give_large_blocks_back()
    assert _kept("yes") + 30 < _kept("no")
