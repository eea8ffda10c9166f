"""How long a viewer waits for its list of a folder of 10,000 frames.

    python benchmarks/scale/listing.py [--size 10000] [--repeats 20]

Starts a real server on a folder of links to one frame, a tenth of them labelled, and asks it over HTTP as OHIF does:
pages of 101 studies, a search by patient and by name, all pages one after the other, and the start page. Prints the
rows of the table in this folder's README and writes `listing.json`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "apps" / "sequal"), str(HERE)]

from study import make_study  # noqa: E402

PAGE = "limit=101&fuzzymatching=true&includefield=00081030%2C00080060"
START_S = 120
#: What is asked, by what it is called in the table.
ASKED = {
    "first page": f"/sequal/dicom-web/studies?{PAGE}&offset=0",
    "last page": f"/sequal/dicom-web/studies?{PAGE}&offset=9898",
    "search by patient": f"/sequal/dicom-web/studies?{PAGE}&00100020=*p0004*",
    "search that finds nothing": f"/sequal/dicom-web/studies?{PAGE}&StudyDescription=*nothing*",
    "labelled ones": f"/sequal/dicom-web/studies?{PAGE}&ModalitiesInStudy=SEG",
    "start page": "/",
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = measure(Path(folder), options.size, options.repeats)
    found |= {"size": options.size, "load": round(os.getloadavg()[0], 2), "cores": os.cpu_count()}
    (HERE / "listing.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, times in found["ms"].items():
        print(f"| {name} | {times['first']:.0f} | {times['median']:.0f} | {times['worst']:.0f} |")


def measure(folder: Path, size: int, repeats: int) -> dict:
    make_study(folder / "study", size, size)
    with serving(folder) as address:
        times = {name: [asked(address + path) for _ in range(repeats + 1)] for name, path in ASKED.items()}
        times["every page, one after the other"] = [every_page(address, size) for _ in range(3)]
        return {"ms": {name: summary(seconds) for name, seconds in times.items()}}


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A real server on `folder / "study"`, by its address."""
    port = 8399
    bin_folder = Path(sys.executable).parent
    # The script starts whatever is called `python`, also where the environment is not activated.
    environment = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    command = [str(bin_folder / "monailabel"), "start_server"]
    command += ["--app", str(ROOT / "apps" / "sequal"), "--studies", str(folder / "study")]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--conf", "state", str(folder / "state"), "--conf", "auto_scoring", "false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if requests.get(f"{address}/info/", timeout=START_S).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.5)
    raise SystemExit("The server did not start.")


def asked(address: str) -> float:
    """Seconds until an answer is there."""
    start = time.perf_counter()
    reply = requests.get(address, timeout=START_S)
    reply.raise_for_status()
    return time.perf_counter() - start


def every_page(address: str, size: int) -> float:
    return sum(asked(f"{address}/sequal/dicom-web/studies?{PAGE}&offset={first}") for first in range(0, size, 101))


def summary(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: the first time, and of the others the median and the worst."""
    first, *others = (round(1000 * value, 1) for value in seconds)
    return {"first": first, "median": round(statistics.median(others), 1), "worst": max(others)}


if __name__ == "__main__":
    main()
