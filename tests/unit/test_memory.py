"""Free memory goes back to the system, whichever thread it belonged to."""

import subprocess
import sys
from pathlib import Path

import pytest

APP = str(Path(__file__).parents[2] / "apps" / "sequal")
#: Threads that take turns at arrays of a few MiB, larger ones first: then glibc takes the smaller ones for usual.
_PROGRAM = """
import sys, threading, time
sys.path.insert(0, sys.argv[1])
import numpy as np, psutil
from sequal.memory import watch_memory
if sys.argv[2] == "yes":
    watch_memory(0.05, 20 << 20)
def work():
    for _ in range(2):
        held = [np.ones(31 << 20, np.uint8)]
        del held
        held = [np.ones(8 << 20, np.uint8) for _ in range(8)]
        pins.append(np.ones(1 << 10, np.uint8))
        del held
pins = []
for _ in range(6):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
rss = lambda: psutil.Process().memory_info().rss >> 20
end = time.monotonic() + 1
least = rss()
while time.monotonic() < end:
    least = min(least, rss())
    time.sleep(0.02)
print(least)
"""


def _kept(watched: str) -> int:
    command = [sys.executable, "-c", _PROGRAM, APP, watched]
    return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's allocator")
def test_free_memory_goes_back_to_the_system() -> None:
    # Without the watch glibc keeps the blocks in most runs, not in all: how the threads' blocks come to lie is chance.
    assert any(_kept("yes") + 30 < _kept("no") for _ in range(8))
