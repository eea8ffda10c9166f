"""The nginx files of docs/deployment.md, with ports and paths of the test, in front of a protected application."""

import datetime
import os
import shutil
import subprocess
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests
import urllib3
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI, Request

from integration.server import REPOSITORY, free_port, wait_for
from lib.web.access import protect

NAME = "labels.hospital.example"
PAGE = (REPOSITORY / "docs" / "deployment.md").read_text(encoding="utf-8")
#: What a site needs around it for a user who is not root.
AROUND = """
{user}
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {site}
}}
"""


def block(after: str) -> str:
    """The first indented block of the page after some words."""
    lines = PAGE[PAGE.index(after) :].splitlines()
    start = next(number for number, line in enumerate(lines) if number and line.startswith("    "))
    end = next(number for number, line in enumerate(lines) if number > start and line and not line.startswith(" "))
    return textwrap.dedent("\n".join(lines[start:end]))


def nginx_program() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found:
        return found
    if os.environ.get("CI") or os.environ.get("SEQUAL_CI") == "1":
        pytest.fail("nginx is not installed; continuous integration needs it.")
    pytest.skip("nginx is not installed.")


@pytest.fixture(scope="module")
def backend() -> Iterator[int]:
    """A protected application that says what it was told."""
    app = FastAPI()

    @app.api_route("/told", methods=["GET", "POST"])
    def told(request: Request) -> dict[str, str]:
        return dict(request.headers)

    protect(app, (NAME,), ())
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for("the application", lambda: server.started, 20)
    yield port
    server.should_exit = True
    thread.join(20)


class Gateway(BaseHTTPRequestHandler):
    """Answers as oauth2-proxy does; whoever starts is logged in."""

    def do_GET(self) -> None:
        if self.path.startswith("/oauth2/auth"):
            self.send_response(202 if "session=anna" in (self.headers.get("Cookie") or "") else 401)
        else:
            self.send_response(302)
            self.send_header("Set-Cookie", "session=anna; Path=/; Secure; HttpOnly; SameSite=Lax")
            self.send_header("Location", "/told")
        self.end_headers()

    def log_message(self, *parts: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def _certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(pem, *plain))


@contextmanager
def running_nginx(folder: Path, site: str) -> Iterator[requests.Session]:
    """Nginx with a site of the page; a session that reaches it by the site's name."""
    program, port = nginx_program(), free_port()
    _certificate(folder)
    user = "user root;" if os.geteuid() == 0 else ""  # else its workers may not read the folder of the test
    (folder / "labels.htpasswd").write_text("anna:{PLAIN}secret\n")
    places = {
        "listen 443": f"listen 127.0.0.1:{port}",
        "/etc/ssl/labels": str(folder),
        "/etc/nginx/labels.htpasswd": f"{folder}/labels.htpasswd",
    }
    for there, here in places.items():
        assert there in site or "htpasswd" in there
        site = site.replace(there, here)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, site=site, user=user))
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE)
    session = requests.Session()
    session.verify, session.trust_env = False, False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a test sends what it means to send
    session.headers["Host"] = f"{NAME}:{port}"

    def answers() -> bool:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        try:
            return bool(session.get(f"https://127.0.0.1:{port}/told", allow_redirects=False).status_code)
        except requests.ConnectionError:
            return False

    try:
        with urllib3.warnings.catch_warnings():
            urllib3.disable_warnings()
            wait_for("nginx", answers, 20)
            session.headers["X-Base"] = f"https://127.0.0.1:{port}"
            yield session
    finally:
        process.terminate()
        process.wait(20)


def ask(session: requests.Session, method: str, **more: object) -> requests.Response:
    return session.request(method, f"{session.headers['X-Base']}/told", allow_redirects=False, **more)  # type: ignore[arg-type]


def test_a_password_in_front(backend: int, tmp_path: Path) -> None:
    site = block("`/etc/nginx/sites-enabled/labels`:").replace("127.0.0.1:8000", f"127.0.0.1:{backend}")
    with running_nginx(tmp_path, site) as session:
        host, anna = str(session.headers["Host"]), ("anna", "secret")

        assert ask(session, "GET").status_code == 401
        assert ask(session, "GET", auth=("anna", "wrong")).status_code == 401
        told = ask(session, "GET", auth=anna)
        assert told.status_code == 200
        assert "authorization" not in told.json()
        assert told.json()["host"] == host
        own, other = {"Origin": f"https://{host}"}, {"Origin": "https://elsewhere.example"}
        assert ask(session, "POST", auth=anna, headers=own).status_code == 200
        assert ask(session, "POST", auth=anna, headers=other).status_code == 403
        assert ask(session, "GET", auth=anna, headers={"Host": "evil.example"}).status_code == 400


def test_single_sign_on_in_front(backend: int, gateway: int, tmp_path: Path) -> None:
    site = block("`/etc/nginx/sites-enabled/labels`:")
    head, tail = site.split("auth_basic ", 1)
    kept = [line for line in tail.splitlines() if "client_max" in line or "proxy_read" in line]
    site = "\n".join([head, *kept, block("`location /`:"), "}"])
    site = site.replace("127.0.0.1:8000", f"127.0.0.1:{backend}").replace("127.0.0.1:4180", f"127.0.0.1:{gateway}")
    with running_nginx(tmp_path, site) as session:
        own = {"Origin": f"https://{session.headers['Host']}"}

        refused = ask(session, "POST", headers=own)
        assert refused.status_code == 302
        assert ask(session, "GET").status_code == 302
        cookie = {"Cookie": "session=anna"}
        told = ask(session, "POST", headers=own | cookie)
        assert told.status_code == 200
        assert "cookie" not in told.json()
        assert ask(session, "POST", headers={"Origin": "null"} | cookie).status_code == 403
