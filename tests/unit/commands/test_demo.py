import importlib.util

import psutil
import pytest
import requests

from sequal.commands.demo import copied_demo, running_server
from sequal.errors import ServerError, StudyError
from unit.commands.studies import make_folder

#: Stands in for MONAI Label's main module: answers `/info/`, and keeps a child busy as a training does.
SERVER = """
import http.server, subprocess, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("arguments", *sys.argv[1:], "child", child.pid, flush=True)
if "{fails}":
    sys.exit("no such app")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{{}}")

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def studies(tmp_path):
    return make_folder(tmp_path / "studies")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A `monailabel` package that comes before the real one."""

    def make(fails=""):
        package = tmp_path / "packages" / "monailabel"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "main.py").write_text(SERVER.format(fails=fails))
        monkeypatch.setenv("PYTHONPATH", str(package.parent))

    return make


def is_running(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_the_copy_holds_images_labels_and_manifest_and_no_truth(studies, tmp_path):
    (studies / "datastore_v2.json").write_text("{}")
    copy = copied_demo(tmp_path / "demo", studies)
    names = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    images = {f"im{index}.nii.gz" for index in range(6)}
    assert names == images | {"patients.csv", "labels/final/im0.nii.gz", "labels/final/im1.nii.gz"}
    assert (copy / "im0.nii.gz").read_bytes() == (studies / "im0.nii.gz").read_bytes()


def test_a_former_demo_is_replaced(studies, tmp_path):
    demo = tmp_path / "demo"
    (copied_demo(demo, studies) / "old.nii.gz").write_bytes(b"x")
    (demo / "annotate.json").write_text("{}")
    assert not (copied_demo(demo, studies) / "old.nii.gz").exists()
    assert not (demo / "annotate.json").exists()


def test_other_files_are_never_removed(studies, tmp_path):
    demo = tmp_path / "demo"
    demo.mkdir()
    (demo / "thesis.txt").write_text("years of work")
    with pytest.raises(StudyError, match="former demo"):
        copied_demo(demo, studies)
    assert (demo / "thesis.txt").read_text() == "years of work"
    (tmp_path / "file").write_text("x")
    with pytest.raises(StudyError, match="former demo"):
        copied_demo(tmp_path / "file", studies)


def test_a_demo_cannot_replace_the_studies_that_it_copies(studies, tmp_path):
    copy = copied_demo(tmp_path / "demo", studies)
    with pytest.raises(StudyError, match="outside the studies"):
        copied_demo(tmp_path / "demo", copy)
    assert (copy / "im0.nii.gz").exists()


def test_the_server_runs_for_the_block_and_is_stopped_with_its_children(environment, tmp_path):
    environment()
    log = tmp_path / "server.log"
    conf = {"epochs": "4"}
    with running_server(tmp_path / "app", tmp_path / "study", tmp_path / "state", log, conf) as address:
        assert requests.get(f"{address}/info/", timeout=5).json() == {}
        words = log.read_text().split()
        child = int(words[words.index("child") + 1])
        assert is_running(child)
        settings = words[words.index("--conf") :][:6]
        assert settings == ["--conf", "epochs", "4", "--conf", "state", str(tmp_path / "state")]
        assert words[words.index("--host") + 1] == "127.0.0.1"
    assert not is_running(child)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/info/", timeout=5)


def test_the_server_is_stopped_after_an_interruption(environment, tmp_path):
    environment()
    addresses = []

    def interrupted():
        with running_server(tmp_path, tmp_path, tmp_path / "state", tmp_path / "server.log") as address:
            addresses.append(address)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{addresses[0]}/info/", timeout=5)


def test_a_server_that_does_not_start_is_told_with_its_last_words(environment, tmp_path):
    environment(fails="yes")
    context = running_server(tmp_path, tmp_path, tmp_path / "state", tmp_path / "server.log")
    with pytest.raises(ServerError, match=r"(?s)its end with code 1.*no such app"):
        context.__enter__()


def test_missing_monai_label_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ServerError, match=r"requirements\.txt"):
        running_server(tmp_path, tmp_path, tmp_path, tmp_path / "server.log").__enter__()
