"""A PACS that says what it was asked, or misbehaves, by the last part of the path."""

import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LONG = b"0123456789abcdef" * 20_000


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answer = getattr(self, f"_{self.path.rpartition('/')[2].partition('?')[0]}", self._echo)
        with suppress(OSError):  # of a client that gave up waiting
            answer()

    def do_POST(self) -> None:
        self.do_GET()

    def _echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode("latin-1")
        headers = {name.lower(): value for name, value in self.headers.items()}
        said = {"method": self.command, "path": self.path, "headers": headers, "body": body}
        self._send(json.dumps(said).encode(), {"Content-Type": "application/dicom+json"})

    def _send(self, content: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _zipped(self) -> None:
        self._send(gzip.compress(LONG), {"Content-Type": "text/plain", "Content-Encoding": "gzip"})

    def _chunked(self) -> None:
        self._chunks([LONG[:100_000], LONG[100_000:], b""])

    def _chunks(self, chunks: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", 'multipart/related; boundary="x y"')
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def _conflict(self) -> None:
        own = {"Set-Cookie": "a=b", "Access-Control-Allow-Origin": "http://pacs", "Connection": "close"}
        self._send(b"no", {"Content-Type": "text/plain", "Warning": "299 pacs: more", **own}, 409)

    def _nothing(self) -> None:
        self.send_response(204)
        self.end_headers()

    def _broken(self) -> None:
        self._send(b"half", {"Content-Length": "100"})
        self.close_connection = True

    def _silent(self) -> None:
        self.server.over.wait()

    def _stops(self) -> None:
        self._chunks([b"half"])
        self.server.over.wait()

    def _trickles(self) -> None:
        self._chunks([])
        while not self.server.over.wait(0.02):
            self.wfile.write(b"1\r\n.\r\n")

    def log_message(self, *args: object) -> None:
        pass


class EchoPacs(http.server.ThreadingHTTPServer):
    """Notes the paths that it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/dicom-web"


@contextmanager
def echo_pacs() -> Iterator[EchoPacs]:
    """Start it, and let everybody go at the end."""
    server = EchoPacs()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
