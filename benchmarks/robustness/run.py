"""Send a real server what no well-meaning client sends; count answers of 500 and above, lost labels and memory.

    python benchmarks/robustness/run.py                 # the fixed cases and 20 mutated files of each kind
    python benchmarks/robustness/run.py --mutations 500 --seed 7 --out results.json     # the long form

It ends with 1 when a request was answered with 500 or above (503 and 507 tell of another machine or of a disk), was not
answered in time, when a label of another image changed, when the server ended, or when its memory grew too far.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "apps" / "sequal"), str(Path(__file__).parent)]

from cases import TARGET, Case, all_cases  # noqa: E402

from integration.data import make_study  # noqa: E402
from integration.server import Server, running  # noqa: E402

TIMEOUT_S = 30.0
#: A legal image of the largest size may take this; what is refused must not.
MOST_MEMORY_MIB = 1500
_MIB = 1 << 20


def attack(server: Server, mutations: int, seed: int) -> dict[str, Any]:
    """Send every case; the counts, and the cases that failed."""
    process = psutil.Process(server.process.pid)
    memory = _Memory(process)
    before, other = server.labels(), f"{TARGET}.nii.gz"
    temporary = _files(server.temporary)
    answers: Counter[int] = Counter()
    failed: list[dict[str, Any]] = []
    slowest = 0.0
    for case in all_cases(mutations, seed):
        start = time.monotonic()
        status, words = _send(server, case)
        slowest = max(slowest, time.monotonic() - start)
        answers[status] += 1
        if status == 0 or (status >= 500 and status not in (503, 507)):
            failed.append({"case": case.name, "status": status, "words": words[:300]})
    memory.end()
    for kind in ("/train/", "/scoring/", "/batch/infer"):
        server.request("DELETE", kind)  # what the cases started
    after = server.labels()
    lost = sorted(name for name, content in before.items() if name != other and after.get(name) != content)
    waiting = [
        task["id"] for kind in ("train", "scoring") for task in server.tasks(kind) if task["status"] == "SUBMITTED"
    ]
    return {
        "requests": sum(answers.values()),
        "answers": {str(status): count for status, count in sorted(answers.items())},
        "failed": failed,
        "lost_labels": lost + ([other] if other not in after else []),
        "tasks_left_waiting": len(waiting),
        "memory_mib": {"before": memory.before, "peak": memory.peak},
        "slowest_s": round(slowest, 2),
        "temporary_files_left": sorted(str(path) for path in _files(server.temporary) - temporary),
        "alive": server.process.poll() is None,
    }


def is_well(result: dict[str, Any]) -> bool:
    """Whether nothing of what must not happen did."""
    grown = result["memory_mib"]["peak"] - result["memory_mib"]["before"]
    bad = (result["failed"], result["lost_labels"], result["tasks_left_waiting"], result["temporary_files_left"])
    return bool(result["alive"]) and not any(bad) and grown <= MOST_MEMORY_MIB


class _Memory:
    """The largest memory of a process, looked at ten times a second."""

    def __init__(self, process: psutil.Process) -> None:
        self._process, self._end = process, threading.Event()
        self.before = self.peak = self._now()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _now(self) -> int:
        return int(self._process.memory_info().rss // _MIB)

    def _watch(self) -> None:
        while not self._end.wait(0.1) and self._process.is_running():
            self.peak = max(self.peak, self._now())

    def end(self) -> None:
        self._end.set()
        self._thread.join()


def _send(server: Server, case: Case) -> tuple[int, str]:
    """Status and words of the answer; 0 when there is none in time."""
    try:
        reply = requests.request(case.method, server.url + case.path, params=case.query, timeout=TIMEOUT_S, **case.more)
    except requests.RequestException as error:
        return 0, f"{type(error).__name__}: {error}"
    except (UnicodeError, ValueError) as error:  # what no HTTP client can send
        return -1, str(error)
    return reply.status_code, reply.text if reply.status_code >= 400 else ""


def _files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutations", type=int, default=20, help="mutated files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations")
    parser.add_argument("--out", type=Path, help="file for the result, JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        studies = make_study(Path(folder) / "study")
        with running(studies, Path(folder) / "state", auto_scoring="false") as server:
            result = {"mutations": options.mutations, "seed": options.seed}
            result |= attack(server, options.mutations, options.seed)
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")
    return 0 if is_well(result) else 1


if __name__ == "__main__":
    sys.exit(main())
