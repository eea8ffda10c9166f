"""A workstation that is shared: inferences while a round runs, and a round beside a busy program, each over alone.

    python benchmarks/speed/busy.py [--seconds 30] [--rounds 1] [--epochs 6 --steps 0] [--out busy.json]

A real server on a copy of the sample study, with the threads, the waiting and the niceness that it chooses by itself.
One annotator asks for an inference, looks at it for a quarter of a second and asks for the next: alone, while a round
runs, alone again. Then a round alone, and one beside a program that does nothing but use one core. What other programs
of the machine used meanwhile stands beside the figures: they make the ratios better, since *alone* is then not alone.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "apps" / "sequal")]

from integration.server import Server, running, wait_for  # noqa: E402

STUDY = ROOT / "sample-data"
PAUSE_S = 0.25
ASK_S, ROUND_S = 1.0, 900.0


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="of inferences alone, before the round and after")
    parser.add_argument("--rounds", type=int, default=1, help="rounds alone and rounds beside a busy program")
    parser.add_argument("--epochs", type=int, default=6, help="of each round; fewer for a quick look")
    parser.add_argument("--steps", type=int, default=0, help="of each epoch; 0: what the labels give")
    parser.add_argument("--out", type=Path, default=HERE / "busy.json")
    options = parser.parse_args()
    results: dict[str, Any] = {"cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    wanted = {"epochs": options.epochs, "iterations_per_epoch": options.steps}
    results |= {"seconds": options.seconds, "rounds": options.rounds, "settings": wanted}
    with tempfile.TemporaryDirectory() as folder:
        studies = Path(shutil.copytree(STUDY, Path(folder) / "study"))
        with running(studies, Path(folder) / "state", threads=None, auto_scoring="false") as server:
            results["inference"] = inferences(server, options.seconds)
            print(json.dumps(results["inference"], indent=1), flush=True)
            results["round"] = rounds(server, options.rounds, wanted)
            print(json.dumps(results["round"], indent=1), flush=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")


def inferences(server: Server, seconds: float) -> dict[str, Any]:
    """Seconds of an inference over HTTP, alone and while a round runs."""
    images = sorted(server.client().datastore()["objects"])
    for image in images[:5]:
        infer(server, image)
    before, others = watched(lambda: annotate(server, images, until=after(seconds)))
    start_round(server, {"epochs": 1000})
    during, _ = watched(lambda: annotate(server, images, until=after(2 * seconds)))
    server.request("DELETE", "/train/").raise_for_status()
    again, others_again = watched(lambda: annotate(server, images, until=after(seconds)))
    alone = before + again
    return {
        "p95_ratio": round(p95(during) / p95(alone), 2),
        "median_ratio": round(statistics.median(during) / statistics.median(alone), 2),
        "alone_s": {"median": round(statistics.median(alone), 3), "p95": round(p95(alone), 3), "count": len(alone)},
        "during_s": {"median": round(statistics.median(during), 3), "p95": round(p95(during), 3), "count": len(during)},
        "cores_used_by_others_alone": round((others + others_again) / 2, 2),
    }


def rounds(server: Server, count: int, wanted: dict[str, int]) -> dict[str, Any]:
    """Seconds of a round, alone and beside one busy program; they take turns."""
    one_round(server, wanted)  # the first makes the simulated frames of all
    alone, beside, others = [], [], []
    for _ in range(count):
        seconds, used = watched(lambda: one_round(server, wanted))
        alone.append(seconds)
        others.append(used)
        with busy_program():
            beside.append(one_round(server, wanted))
    return {
        "ratio": round(statistics.median(beside) / statistics.median(alone), 2),
        "alone_s": alone,
        "beside_a_busy_program_s": beside,
        "cores_used_by_others_alone": round(statistics.mean(others), 2),
    }


def annotate(server: Server, images: list[str], until: Callable[[], bool]) -> list[float]:
    """Seconds of each inference that was asked for until then."""
    found: list[float] = []
    while not until():
        start = time.perf_counter()
        infer(server, images[len(found) % len(images)])
        found.append(time.perf_counter() - start)
        time.sleep(PAUSE_S)
    return found


def infer(server: Server, image: str) -> None:
    server.request("POST", "/infer/carotid", params={"image": image, "output": "image"}).raise_for_status()


def one_round(server: Server, wanted: dict[str, int]) -> float:
    """Seconds of a round, from its first look at the study to the end."""
    start_round(server, wanted)
    end = time.monotonic() + ROUND_S
    while is_training(server) and time.monotonic() < end:
        time.sleep(ASK_S)  # seldom, since each question takes some of the processor
    last = server.tasks("train")[-1]
    assert last["status"] == "DONE", last["details"][-5:]
    return float(server.stats()["total_time"])


def start_round(server: Server, wanted: dict[str, int]) -> None:
    """Start a round, and wait until its process works."""
    before = server.stats().get("process")
    server.request("POST", "/train/carotid", json=wanted).raise_for_status()
    wait_for("the round to begin", lambda: server.stats().get("process") not in (None, before), ROUND_S)


def is_training(server: Server) -> bool:
    return any("end_ts" not in task for task in server.tasks("train"))


@contextmanager
def busy_program() -> Iterator[None]:
    """In a session of its own, as a program of another user would be: Linux shares the processor among sessions."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def watched(work: Callable[[], Any]) -> tuple[Any, float]:
    """What some work gives, and how many cores other programs than this and its children used meanwhile."""
    start, every, ours = time.monotonic(), used_s(), own_s()
    result = work()
    return result, max(0.0, (used_s() - every - (own_s() - ours)) / (time.monotonic() - start))


def used_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def own_s() -> float:
    """Processor time of this process, of its children, and of those that have ended."""
    found = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        found += times.user + times.system + times.children_user + times.children_system
    return found


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def p95(seconds: list[float]) -> float:
    return float(np.percentile(seconds, 95))


if __name__ == "__main__":
    main()
