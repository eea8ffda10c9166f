import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from lib.web.access import AccessControl, protect

HERE = "http://127.0.0.1:8000"
VIEWER = "https://viewer.example.org"
ELSEWHERE = "http://evil.example"


def served(hosts=(), origins=()):
    """A server that counts what reaches it, with MONAI Label's own CORS, which echoes any origin."""
    from fastapi.middleware.cors import CORSMiddleware

    app = FastAPI()
    app.state.reached = []
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
    )

    @app.api_route("/train/", methods=["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"])
    def train() -> str:
        app.state.reached.append("train")
        return "trains"

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    protect(app, hosts, origins)
    return app


def client(app, base=HERE):
    return TestClient(app, base_url=base)


@pytest.fixture
def app():
    return served(hosts=("labels.example.org",), origins=(VIEWER,))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LocalHost", "[::1]:8000", "[::1]", "labels.example.org:443"],
)
def test_the_names_of_this_computer_and_listed_ones_are_known(app, host):
    assert client(app).post("/train/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "notlocalhost",
        "127.0.0.1@evil.example",
        "127.0.0.1:8000@evil.example",
        "evil.example#127.0.0.1",
        "127.0.0.1 evil.example",
        "127.0.0.1:",
        "0.0.0.0:8000",
        "10.0.0.5",
        "[::2]",
        "labels.example.org.evil.example",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_any_other_name_is_refused_whatever_is_asked(app, host, method):
    reply = client(app).request(method, "/train/", headers={"Host": host})

    assert reply.status_code == 400
    assert reply.json()["detail"].startswith("Expected `Host` to be one of 127.0.0.1, [::1], labels.example.org")
    assert "allowed_hosts" in reply.json()["detail"]
    assert app.state.reached == []


def test_a_forwarded_host_does_not_count(app):
    headers = {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1", "Forwarded": "host=127.0.0.1"}

    assert client(app).get("/train/", headers=headers).status_code == 400


def test_two_hosts_and_no_host_are_refused():
    for hosts in ([], [(b"host", b"127.0.0.1"), (b"host", b"evil.example")]):
        assert raw(served(), headers=hosts)["status"] == 400


@pytest.mark.parametrize(
    "path",
    ["http://evil.example/train/", "/train/\0", "/train/\n", "*", "/ohif/..", "/../train/", "/a/./b", "/a\\..\\b"],
)
def test_a_path_that_is_none_is_refused(path):
    app = served()

    assert raw(app, path=path, headers=[(b"host", b"127.0.0.1")])["status"] == 400
    assert app.state.reached == []


def test_a_caller_in_the_same_process_names_the_server_as_it_likes():
    """MONAI Label's own tests call the server so, as `testserver`."""
    assert client(served(), "http://testserver").post("/train/").status_code == 200
    assert client(served(), "http://testserver").post("/train/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": HERE},
        {"Origin": HERE, "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": VIEWER},
        {"Origin": VIEWER, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_programs_own_pages_and_listed_ones_may_change_something(app, headers):
    assert client(app).post("/train/", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("labels.example.org", "https://labels.example.org"),
        ("labels.example.org", "https://labels.example.org:443"),
        ("labels.example.org:8443", "https://labels.example.org:8443"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("localhost:8000", "http://LOCALHOST:8000"),
    ],
)
def test_the_origin_of_the_address_that_was_asked_is_the_servers_own(app, host, origin):
    assert client(app).post("/train/", headers={"Host": host, "Origin": origin}).status_code == 200


FOREIGN = [
    {"Origin": ELSEWHERE},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "http://localhost:8000"},
    {"Origin": "http://127.0.0.1:8000.evil.example"},
    {"Origin": "http://127.0.0.1:8000@evil.example"},
    {"Origin": "https://viewer.example.org.evil.example"},
    {"Origin": "file://"},
    {"Origin": ELSEWHERE, "Sec-Fetch-Site": "same-origin"},
    {"Origin": HERE, "Sec-Fetch-Site": "cross-site"} | {"Origin": ELSEWHERE},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    {"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "BREW"])
def test_another_page_changes_nothing_with_or_without_a_preflight(app, method, headers):
    reply = client(app).request(method, "/train/", headers=headers | {"Content-Type": "text/plain"}, content="{}")

    assert reply.status_code == 403
    assert reply.json()["detail"].startswith("Expected a request from the server's own pages, got one from ")
    assert app.state.reached == []
    assert "access-control-allow-origin" not in reply.headers


def test_a_method_cannot_be_smuggled_past_as_another(app):
    """Nothing here reads these headers; were it to, `GET` with them would have to count as changing."""
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        headers = {"Origin": ELSEWHERE, "Sec-Fetch-Site": "cross-site", name: "POST"}
        assert client(app).get("/train/?_method=POST", headers=headers).status_code == 403


def test_two_origins_have_to_be_known_both():
    for order in (1, -1):
        origins = [(b"origin", HERE.encode()), (b"origin", ELSEWHERE.encode())][::order]
        assert raw(served(), method="POST", headers=[(b"host", b"127.0.0.1:8000"), *origins])["status"] == 403


def test_no_reply_is_readable_elsewhere_and_a_listed_page_reads_with_credentials(app):
    assert "access-control-allow-origin" not in client(app).get("/train/", headers={"Origin": ELSEWHERE}).headers
    reply = client(app).get("/train/", headers={"Origin": VIEWER})
    assert reply.headers["access-control-allow-origin"] == VIEWER
    assert reply.headers["access-control-allow-credentials"] == "true"


def test_nobody_gets_a_cross_origin_permission_where_none_is_listed():
    reply = client(served()).get("/train/", headers={"Origin": ELSEWHERE})
    assert not [name for name in reply.headers if name.startswith("access-control-")]


def test_the_preflight_of_another_page_fails_and_that_of_a_listed_one_passes(app):
    asked = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}

    refused = client(app).options("/train/", headers={"Origin": ELSEWHERE, **asked})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    assert client(app).options("/train/", headers={"Origin": VIEWER, **asked}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, 200),
        ({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, 403),
        ({"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, 403),
        ({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, 403),
        ({"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}, 403),
    ],
)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_page_may_link_to_the_viewer_and_load_nothing(app, headers, status, site):
    assert client(app).get("/train/", headers={"Sec-Fetch-Site": site, **headers}).status_code == status


def test_only_the_servers_own_pages_and_listed_ones_may_frame_it(app):
    reply = client(app).get("/train/")
    assert reply.headers["content-security-policy"] == f"frame-ancestors 'self' {VIEWER}"


@pytest.mark.parametrize("headers", [{"Origin": ELSEWHERE}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_websocket_of_another_page_is_closed(app, headers):
    with pytest.raises(WebSocketDisconnect), client(app).websocket_connect("/live", headers=headers):
        pass


def test_protecting_again_replaces_what_was_there():
    app = served()
    count = len(app.user_middleware)
    protect(app, (), (VIEWER,))

    assert len(app.user_middleware) == count == 5
    assert client(app).post("/train/", headers={"Origin": VIEWER}).status_code == 200


def test_a_server_that_has_started_is_protected_from_its_next_request_on():
    app = FastAPI()

    @app.get("/")
    def home() -> str:
        return "home"

    assert client(app).get("/", headers={"Host": "evil.example"}).status_code == 200
    protect(app, (), ())
    assert client(app).get("/", headers={"Host": "evil.example"}).status_code == 400


def raw(app, *, method="GET", path="/train/", headers=()):
    """The start of a reply to a request that no client would make."""
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": list(headers)}
    # In a thread of its own: the browser tests leave an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        called = AccessControl(app)({**scope, "server": ("127.0.0.1", 8000)}, receive, send)
        thread.submit(asyncio.run, called).result()
    return sent[0]
