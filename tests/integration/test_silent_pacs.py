"""A PACS that takes connections and never answers must not stop the server."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from integration.server import running, wait_for

pytestmark = [pytest.mark.server, pytest.mark.timeout(400)]

#: More than the threads of the server's pool.
REQUESTS = 45


class _SilentPacs:
    """Takes every connection, reads what is asked, and says nothing."""

    def __init__(self, listening: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}/dicom-web"
        self.asked: list[bytes] = []
        self._listening = listening
        self._taken: list[socket.socket] = []

    def take(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed: the test is over
                return
            self._taken.append(connection)
            self.asked.append(connection.recv(4096).partition(b"\r\n")[0])


@contextmanager
def _silent_pacs() -> Iterator[_SilentPacs]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pacs = _SilentPacs(listening)
        thread = threading.Thread(target=pacs.take, daemon=True)
        thread.start()
        yield pacs
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in pacs._taken:
        connection.close()


@pytest.mark.parametrize("bridge", ["true", "false"])
def test_the_server_answers_while_viewers_wait_for_the_pacs(tmp_path: Path, bridge: str) -> None:
    with (
        _silent_pacs() as pacs,
        running(pacs.url, tmp_path / "state", auto_scoring="false", ohif_bridge=bridge) as server,
        ThreadPoolExecutor(REQUESTS) as viewers,
    ):
        waiting = [
            viewers.submit(server.request, "GET", f"/proxy/dicom/qido/studies?limit={index}")
            for index in range(REQUESTS)
        ]
        wait_for("the viewers' requests", lambda: any(b"limit=" in line for line in pacs.asked))
        # Each has a time limit, which is exceeded when one of the viewers' requests stops the server.
        assert server.request("GET", "/ohif/app-config.js").status_code == 200
        assert server.request("GET", "/info/").status_code == 200
        replies = [one.result() for one in waiting]
    assert {reply.status_code for reply in replies} == {504}
    assert any("to answer within 30 s, got silence" in reply.json()["detail"] for reply in replies)
    # The server itself asks for series.
    searched = {line for line in pacs.asked if b"/studies?" in line}
    assert searched <= {b"GET /dicom-web/studies?limit=%d HTTP/1.1" % index for index in range(REQUESTS)}
