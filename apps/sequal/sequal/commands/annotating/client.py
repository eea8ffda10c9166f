"""An annotator's side of MONAI Label's REST interface, over plain HTTP."""

import email
import email.policy
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import requests

from sequal.commands.address import THIS_MACHINE
from sequal.errors import ServerError
from sequal.files.imaging import image_suffix
from sequal.study.overview import StudyOverview

__all__ = ["AnnotationClient", "Inference", "Sample"]

TaskKind = Literal["train", "scoring"]
_TIMEOUT_S = 300
_POLL_S = 0.5
_NO_TASK_YET = 404
_ALREADY_RUNNING = 429


@dataclass(frozen=True)
class Sample:
    """An image that the server asks for: its id, its score (higher is asked for first) and why."""

    id: str
    score: float | None
    reason: str


@dataclass(frozen=True)
class Inference:
    """The server's segmentation of one image.

    Attributes:
        file: the mask, where it was saved.
        params: what the server says beside it (`pld`, `confidence`, `imt`, …).
    """

    file: Path
    params: dict[str, Any]


class AnnotationClient:
    """Talks to one server as one annotator.

    Every method raises `ServerError` when the server does not answer, or refuses.

    Args:
        server: its address, `http://127.0.0.1:8000` say.
        client_id: the name under which images are leased.
        folder: where downloaded files go.
        poll_s: seconds between two looks at a running task; None: half a second.
    """

    def __init__(self, server: str, client_id: str, folder: Path, poll_s: float | None = None) -> None:
        self._server = server.rstrip("/")
        self._client_id = client_id
        self._folder = folder
        self._poll_s = _POLL_S if poll_s is None else poll_s
        self._session = requests.Session()
        self._session.trust_env = urlsplit(self._server).hostname not in THIS_MACHINE

    def info(self) -> dict[str, Any]:
        """What the server says of itself: models, strategies, train stats."""
        return dict(self._json("GET", "/info/"))

    def overview(self, strategy: str | None = None, model: str | None = None) -> StudyOverview:
        """How the study stands.

        Args:
            strategy: by which the next images are ranked; None: the server's own.
            model: whose study, of a server of several; None: that of the first.
        """
        params = {key: value for key, value in (("strategy", strategy), ("model", model)) if value is not None}
        return StudyOverview.from_json(self._json("GET", "/sequal/status", params=params))

    def labelled(self) -> dict[str, bool]:
        """Every image of the study, and whether it has a final label."""
        objects = self._json("GET", "/datastore/", params={"output": "all"})["objects"]
        return {image: "final" in entry.get("labels", {}) for image, entry in objects.items()}

    def next_sample(self, strategy: str) -> Sample | None:
        """The image that a strategy asks this annotator for; None when none is left."""
        reply = self._json("POST", f"/activelearning/{strategy}", json={"client_id": self._client_id})
        if not reply:
            return None
        return Sample(reply["id"], reply.get("score"), reply.get("reason", ""))

    def download_image(self, image: str) -> Path:
        """The file of an image, under its own suffix."""
        reply = self._request("GET", "/datastore/image", params={"image": image})
        header = EmailMessage()
        header["Content-Disposition"] = reply.headers.get("Content-Disposition", "attachment")
        path = self._folder / f"image{image_suffix(header.get_filename() or '')}"
        path.write_bytes(reply.content)
        return path

    def infer(self, model: str, image: str) -> Inference:
        """Segment an image of the study with the model in service."""
        params = {"client_id": self._client_id, "result_extension": ".nii.gz"}
        form = {"params": (None, json.dumps(params))}
        reply = self._request("POST", f"/infer/{model}", params={"image": image}, files=form)
        content_type = reply.headers.get("Content-Type", "")
        parts = _parts(content_type, reply.content)
        if "image" not in parts or "params" not in parts:
            raise ServerError(
                f"Expected `/infer/{model}` to answer with params and a mask, got {content_type or 'nothing'}. "
                "Look into the server's log."
            )
        path = self._folder / "mask.nii.gz"
        path.write_bytes(parts["image"])
        return Inference(path, json.loads(parts["params"]))

    def submit(self, image: str, label: Path) -> None:
        """Submit a final label."""
        params = json.dumps({"client_id": self._client_id})
        with label.open("rb") as file:
            form = {"params": (None, params), "label": (label.name, file)}
            self._request("PUT", "/datastore/label", params={"image": image, "tag": "final"}, files=form)

    def train(
        self, model: str, progress: Callable[[dict[str, Any]], None], settings: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Train one round to its end.

        Args:
            model: to train.
            progress: called with the train stats (`epoch`, `total_epochs`, …) as they come.
            settings: of this round.

        Returns:
            The stats at the end.

        Raises:
            ServerError: a training is running already, or this one failed.
        """
        task = self._json("POST", f"/train/{model}", json={**(settings or {}), "client_id": self._client_id})
        state = self._wait("train", str(task["id"]), lambda: progress(self._running_stats(model)))
        stats: dict[str, Any] = self.info()["train_stats"].get(model) or {}
        if state["status"] != "DONE" or "error" in stats:
            reason = stats.get("error") or " / ".join(state.get("details", [])[-2:]) or "no reason"
            raise ServerError(
                f"Expected the training to end well, got {state['status']}: {reason}. Look into the server's log."
            )
        return stats

    def score(self, method: str) -> None:
        """Wait until the pool is scored: by the scoring that runs already, else by one that is started here."""
        task = self._last_task("scoring")
        if task is None:
            reply = self._request("POST", f"/scoring/{method}", accept=(_ALREADY_RUNNING,))
            task = self._last_task("scoring") if reply.status_code == _ALREADY_RUNNING else reply.json()
        if task is not None:
            self._wait("scoring", str(task["id"]), lambda: None)

    def _running_stats(self, model: str) -> dict[str, Any]:
        stats: dict[str, Any] = self.info()["train_stats"].get(model) or {}
        # Until the process of this round reports, the stats are those of the round before, which is over.
        return {} if "total_time" in stats else stats

    def _last_task(self, kind: TaskKind) -> dict[str, Any] | None:
        reply = self._request("GET", f"/{kind}/", accept=(_NO_TASK_YET,))
        return None if reply.status_code == _NO_TASK_YET else dict(reply.json())

    def _wait(self, kind: TaskKind, task_id: str, on_poll: Callable[[], None]) -> dict[str, Any]:
        while True:
            tasks = self._json("GET", f"/{kind}/", params={"all": "true"})
            task: dict[str, Any] = next((task for task in tasks if task["id"] == task_id), {"status": "lost"})
            if task["status"] not in {"SUBMITTED", "RUNNING"}:
                return task
            on_poll()
            time.sleep(self._poll_s)

    def _json(self, method: str, path: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON, as requests takes it
        reply = self._request(method, path, **arguments)
        try:
            return reply.json()
        except ValueError as error:
            raise ServerError(
                f"Expected {self._server}{path} to answer with JSON, got {reply.text[:80]!r}. "
                "Check that a MONAI Label server listens there."
            ) from error

    def _request(self, method: str, path: str, accept: tuple[int, ...] = (), **arguments: Any) -> Any:  # noqa: ANN401
        try:
            reply = self._session.request(method, self._server + path, timeout=_TIMEOUT_S, **arguments)
        except requests.RequestException as error:
            raise ServerError(
                f"Expected a MONAI Label server at {self._server}, got {type(error).__name__}. "
                "Start it (`make serve`), or name it with --server."
            ) from error
        if not reply.ok and reply.status_code not in accept:
            raise ServerError(
                f"Expected the server to accept {method} {path}, got {reply.status_code}: {_detail(reply)}"
            )
        return reply


def _detail(reply: Any) -> str:  # noqa: ANN401 - a reply of requests
    """The reason that the server gives."""
    try:
        return str(reply.json()["detail"])
    except (ValueError, LookupError, TypeError):
        return str(reply.text[:200]) or "no reason. Look into the server's log."


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart/form-data body by name; empty for any other content."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    parts = {}
    for part in message.iter_parts() if message.is_multipart() else ():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            parts[name] = content
    return parts
