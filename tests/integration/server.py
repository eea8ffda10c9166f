"""The real MONAI Label server in a process of its own, as the README starts it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import nibabel as nib
import numpy as np
import requests
from monailabel.client import MONAILabelClient
from numpy.typing import NDArray

REPOSITORY = Path(__file__).parents[2]
APP = REPOSITORY / "apps" / "sequal"
START_S, STOP_S, TASK_S, REQUEST_S = 120.0, 20.0, 150.0, 60.0
POLL_S = 0.1
#: One short round: what is tested here is the way through the server, not what is learnt.
QUICK = {"epochs": 1, "iterations_per_epoch": 2, "patch": 64}

T = TypeVar("T")


def wait_for(what: str, ask: Callable[[], T | None], seconds: float = TASK_S) -> T:
    """Ask until the answer is true; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"Waited {seconds:.0f} s in vain for {what}")
        time.sleep(POLL_S)


@dataclass
class Server:
    """A running server.

    Attributes:
        studies: the studies folder, or the address of a PACS.
        state: the study's state folder.
        port: where it listens, on 127.0.0.1.
        log_file: everything that it and its task processes print.
        process: its process, the leader of a group of its own.
    """

    studies: Path | str
    state: Path
    port: int
    log_file: Path
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def published(self) -> Path:
        return self.state / "published.pt"

    @property
    def temporary(self) -> Path:
        """Folder of its temporary files."""
        return self.log_file.with_suffix(".tmp")

    @property
    def received(self) -> Path:
        """Folder of the files that clients receive."""
        return self.log_file.with_suffix(".received")

    def client(self, name: str = "annotator") -> MONAILabelClient:
        return MONAILabelClient(self.url, tmpdir=str(self.received), client_id=name)

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        """A request of a kind that the client cannot make, or whose status is of interest."""
        return requests.request(method, self.url + path, timeout=REQUEST_S, **more)

    def save_label(self, image: str, label: Path, **more: Any) -> requests.Response:
        with label.open("rb") as file:
            files = {"label": (label.name, file)}
            return self.request("PUT", "/datastore/label", params={"image": image, **more}, files=files)

    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = self.client().info()["train_stats"]["carotid"]
        return stats

    def labels(self) -> dict[str, bytes]:
        """Every submitted label file, byte by byte."""
        folder = Path(self.studies) / "labels" / "final"
        return {path.name: path.read_bytes() for path in sorted(folder.glob("*.nii.gz"))}

    def stored_label(self, image: str) -> NDArray[Any]:
        file = self.client().download_label(image, "final")
        return np.asanyarray(nib.load(file).dataobj)

    def tasks(self, kind: str) -> list[dict[str, Any]]:
        """All tasks of `train` or `scoring` so far, the oldest first."""
        reply = self.request("GET", f"/{kind}/", params={"all": "true"})
        return reply.json() if reply.status_code == 200 else []

    def finished(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait until the first `count` tasks are over; the last of them."""

        def over() -> dict[str, Any] | None:
            tasks = self.tasks(kind)
            done = len(tasks) >= count and all("end_ts" in task for task in tasks[:count])
            return tasks[count - 1] if done else None

        return wait_for(f"the end of {kind} task {count}", over)

    def train(self, **settings: Any) -> dict[str, Any]:
        """Train to the end; the task."""
        before = len(self.tasks("train"))
        self.client().train_start("carotid", {**QUICK, **settings})
        return self.finished("train", before + 1)

    def score(self) -> dict[str, Any]:
        """Score to the end; the task."""
        before = len(self.tasks("scoring"))
        reply = self.request("POST", "/scoring/pld", json={})
        assert reply.status_code == 200, reply.text
        return self.finished("scoring", before + 1)

    def stop(self) -> None:
        """End the server and what it started."""
        for ending in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, ending)
                self.process.wait(STOP_S)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


def task_result(task: dict[str, Any]) -> dict[str, Any]:
    """What a task process returned, from the last line that it logged about it."""
    lines = [line for line in task["details"] if "- Result: " in line]
    assert lines, task
    result: dict[str, Any] = json.loads(lines[-1].split("- Result: ", 1)[1])
    return result


def command(studies: Path | str, port: int, conf: dict[str, object], app: Path = APP) -> list[str]:
    """The README's command."""
    pairs = [part for key, value in conf.items() for part in ("--conf", key, str(value))]
    program = str(Path(sys.executable).parent / "monailabel")
    start = [program, "start_server", "--app", str(app), "--studies", str(studies)]
    return [*start, "--host", "127.0.0.1", "--port", str(port), *pairs]


def environment(threads: int | None = 1) -> dict[str, str]:
    """As after activating the environment; with one thread, because several processes share the machine.

    Args:
        threads: another number of them; None: as many as the server takes by itself.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = ("MONAI_LABEL_", "PYTHONPATH", "OMP_", "KMP_")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**clean, "PATH": path, **({} if threads is None else {"OMP_NUM_THREADS": str(threads)})}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    studies: Path | str,
    state: Path,
    *,
    app: Path = APP,
    state_in_conf: bool = True,
    variables: Mapping[str, str] | None = None,
    threads: int | None = 1,
    **conf: object,
) -> Iterator[Server]:
    """Start a server (`variables` in its environment), wait until it answers, and stop it at the end."""
    state.parent.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = {"state": state, **conf} if state_in_conf else conf
    log_file = state.parent / f"server-{port}.log"
    for suffix in (".tmp", ".received"):
        log_file.with_suffix(suffix).mkdir()
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command(studies, port, settings, app),
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            env={**environment(threads), "TMPDIR": str(log_file.with_suffix(".tmp")), **(variables or {})},
            start_new_session=True,
        )
    server = Server(studies, state, port, log_file, process)

    def answers() -> bool:
        assert process.poll() is None, f"The server ended while starting:\n{server.log[-4000:]}"
        try:
            return requests.get(f"{server.url}/info/", timeout=REQUEST_S).status_code == 200
        except requests.ConnectionError:
            return False

    try:
        wait_for("the server to answer", answers, START_S)
        yield server
    finally:
        server.stop()
