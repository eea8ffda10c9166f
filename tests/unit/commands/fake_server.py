"""A server with MONAI Label's endpoints, statuses and replies, and a model whose masks get better with every round."""

import gzip
import json
import re
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nibabel as nib
import numpy as np
from requests_toolbelt import MultipartDecoder, MultipartEncoder

#: Rows by which the model's mask is off before any training; every round takes one off.
FIRST_SHIFT = 3
IMT_MM = 0.5


@dataclass
class FakeStudy:
    """What the server knows; tests look into it and change it."""

    images: dict[str, Path]
    masks: dict[str, np.ndarray]
    labelled: set[str]
    clients: set[str] = field(default_factory=set)
    order: list[str] = field(default_factory=list)
    offered: list[str] = field(default_factory=list)
    submitted: dict[str, np.ndarray] = field(default_factory=dict)
    tasks: dict[str, list[dict]] = field(default_factory=lambda: {"train": [], "scoring": []})
    rounds: int = 0
    polls: int = 0
    training_error: str = ""
    models: tuple[str, ...] = ("carotid",)
    trainers: tuple[str, ...] = ("carotid",)
    labels: tuple[str, ...] = ("intima-media",)
    refuse_labels: bool = False
    trained_with: list[dict] = field(default_factory=list)

    def next_image(self):
        free = [image for image in self.order if image not in self.labelled]
        fresh = [image for image in free if image not in self.offered]
        image = (fresh or free or [None])[0]
        if image is not None and image not in self.offered:
            self.offered.append(image)
        return image

    def stats(self):
        """As the trainer's stats file: those of the last round, until the process of this one reports."""
        running = self.tasks["train"] and self.tasks["train"][-1]["status"] == "RUNNING"
        if running and self.polls < 2:
            return self._finished() if self.rounds else {}
        if running:
            return {"epoch": min(self.polls, 5), "total_epochs": 6, "best_metric": 0.5, "round": self.rounds + 1}
        return self._finished() if self.rounds else {}

    def _finished(self):
        stats = {
            "epoch": 6,
            "total_epochs": 6,
            "best_metric": 0.7 + 0.05 * self.rounds,
            "total_time": 12.5,
            "round": self.rounds,
            "published": self.rounds != 2,
            "published_reason": "first checkpoint of this study" if self.rounds != 2 else "does not beat it",
            "refinement": {"epoch": 4, "images": 3, "rejected": 0, "pixels_changed": 120},
            "pld": {"scored": 4, "mean": 0.1, "max": 0.2},
        }
        return stats | ({"error": self.training_error} if self.training_error else {})

    def poll(self, kind):
        """One look at the tasks of a kind; the running one is over after a few."""
        self.polls += 1
        for task in self.tasks[kind]:
            if task["status"] == "RUNNING" and self.polls >= 4:
                task["status"] = "ERROR" if kind == "train" and self.training_error else "DONE"
                task["details"] = ["first line", "last line"]
                self.rounds += kind == "train"
        return self.tasks[kind]

    def start(self, kind):
        self.polls = 0
        task = {"id": str(uuid.uuid4()), "status": "RUNNING", "request": {}, "start_ts": "2026-01-01 00:00:00"}
        self.tasks[kind].append(task)
        return task


#: At which a server is one of a model alone.
ADDRESS = "/sequal/carotid"


class _Handler(BaseHTTPRequestHandler):
    study: FakeStudy

    def log_message(self, *_):
        pass

    def do_GET(self):
        url, study = urlsplit(self.path.removeprefix(ADDRESS)), self.study
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if url.path == "/info/":
            models = {name: {"type": "segmentation"} for name in study.models}
            return self._json(
                {
                    "models": models,
                    "labels": list(study.labels),
                    "trainers": {name: {} for name in study.trainers},
                    "strategies": {"entropy": {}, "pld": {}},
                    "train_stats": {name: study.stats() for name in study.trainers},
                }
            )
        if url.path == "/datastore/" and query.get("output") == "all":
            labels = {
                image: ({"final": {"ext": ".nii.gz"}} if image in study.labelled else {}) for image in study.images
            }
            objects = {i: {"image": {"ext": ".nii.gz", "info": {}}, "labels": labels[i]} for i in study.images}
            return self._json({"name": "x", "objects": objects})
        if url.path == "/datastore/image":
            path = study.images[query["image"]]
            headers = {"Content-Disposition": f'attachment; filename="{path.name}"'}
            return self._reply(path.read_bytes(), "application/octet-stream", headers)
        if url.path in ("/train/", "/scoring/"):
            tasks = study.poll(url.path.strip("/"))
            if not tasks:
                return self._json({"detail": "No Tasks Found"}, 404)
            return self._json(tasks if query.get("all") == "true" else tasks[-1])
        return self._json({"detail": "Not Found"}, 404)

    def do_POST(self):
        url, study = urlsplit(self.path.removeprefix(ADDRESS)), self.study
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        _, kind, name = url.path.split("/")
        if kind == "activelearning":
            study.clients.add(json.loads(body)["client_id"])
            image = study.next_image()
            if image is None:
                return self._json({})
            # The server adds the image's info to the strategy's reply.
            return self._json({"id": image, "score": 0.25, "reason": f"{name} 0.25", "path": "/x", "ts": 1})
        if kind == "infer":
            return self._infer(parse_qs(url.query)["image"][0], json.loads(self._form(body)["params"]))
        if kind == "train":
            study.trained_with.append(json.loads(body))
        if kind == "train" or (kind == "scoring" and not study.tasks["scoring"]):
            return self._json(study.start(kind))
        return self._json({"detail": "Scoring Task is Already Running"}, 429)

    def do_PUT(self):
        url, study = urlsplit(self.path.removeprefix(ADDRESS)), self.study
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        form = self._form(self.rfile.read(int(self.headers["Content-Length"])))
        if study.refuse_labels:
            return self._json({"detail": "The label was not accepted."}, 400)
        assert query["tag"] == "final"
        label = nib.Nifti1Image.from_bytes(gzip.decompress(form["label"]))
        study.submitted[query["image"]] = np.asarray(label.dataobj)
        study.labelled.add(query["image"])
        return self._json({"image": query["image"], "label": query["image"]})

    def _infer(self, image, params):
        assert params["result_extension"] == ".nii.gz"
        study = self.study
        mask = np.roll(study.masks[image], max(FIRST_SHIFT - study.rounds, 0), axis=1)
        file = nib.Nifti1Image(mask, nib.load(study.images[image]).affine)
        content = gzip.compress(file.to_bytes())
        reply = {"pld": 0.1, "confidence": 0.9, "imt": {"mean_mm": IMT_MM, "calibrated": True}}
        fields = {
            "params": (None, json.dumps(reply), "application/json"),
            "image": ("result.nii.gz", content, "application/octet-stream"),
        }
        encoder = MultipartEncoder(fields=fields)
        return self._reply(encoder.to_string(), encoder.content_type)

    def _form(self, body):
        parts = MultipartDecoder(body, self.headers["Content-Type"]).parts
        names = [re.search(rb'name="([^"]+)"', part.headers[b"Content-Disposition"])[1].decode() for part in parts]
        return {name: part.content for name, part in zip(names, parts, strict=True)}

    def _json(self, value, status=200):
        self._reply(json.dumps(value).encode(), "application/json", status=status)

    def _reply(self, content, content_type, headers=None, status=200):
        self.send_response(status)
        for key, value in {
            "Content-Type": content_type,
            "Content-Length": str(len(content)),
            **(headers or {}),
        }.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(study):
    """The address of a server of this study."""
    handler = type("Handler", (_Handler,), {"study": study})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
