"""Ending the servers that a command has started."""

import subprocess
from typing import Final

import psutil

__all__ = ["stop"]

_STOPS_WITHIN_S: Final = 20


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server and what it started: a training under way would keep it waiting, or outlive it."""
    if process.poll() is not None:
        return
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    for child in children:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    try:
        process.wait(_STOPS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    psutil.wait_procs(children, timeout=_STOPS_WITHIN_S)
