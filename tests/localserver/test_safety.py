"""Who gets in, how much they may bring, and that no name, query or address leads where it shouldn't."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from server_client import FILES, UPSERT, Client
from servers import RunningServer

pytestmark = pytest.mark.slow

MEGABYTE = 2**20
VIEWER = "{ viewer { id username } }"
OUTSIDE = ("..", ".", "a/b", "/etc/passwd", "..\\..", "a\0b", "", "a?b", "a#b", "%2e%2e", "x" * 200, "a\nb")
FILES_OUTSIDE = ("../key", "/etc/passwd", "a/../../key", "a//b", "./key", "a\\b", "a\0b", "", "x" * 2000)


@pytest.fixture
def client(server: RunningServer) -> Client:
    return Client(server)


@pytest.fixture
def stranger(server: RunningServer) -> Client:
    """One without the key."""
    return Client(server, {"User-Agent": "stranger"})


def looking(client: Client) -> Client:
    """A browser that logged in with the key: it has the cookie, and not the key."""
    answer = client.ask("GET", f"/login?key={client.server.api_key}")
    return Client(client.server, {"Cookie": answer.headers["set-cookie"].split(";")[0]})


def memory_bytes(server: RunningServer) -> int:
    """The most memory that the server's process ever had."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


# Who gets in


@pytest.mark.parametrize("path", ["/", "/local/music", "/local/music/runs/x", "/gaps", "/sdk/music", "/nowhere"])
def test_without_the_key_nothing_is_read(stranger: Client, path: str) -> None:
    assert stranger.ask("GET", path).status == 401
    answer = stranger.page(path)
    assert answer.status == 303
    assert answer.headers["location"].startswith("/login")


def test_without_the_key_nothing_is_changed(stranger: Client, server: RunningServer) -> None:
    assert stranger.graphql(VIEWER).status == 401
    assert stranger.stream("x", {}).status == 401
    for wrong in (server.api_key[:-1], server.api_key + "0", "", "é"):
        assert Client(server, {"Authorization": f"Bearer {wrong}".encode().decode("latin-1")}).graphql(
            VIEWER
        ).status in (400, 401)
    assert Client(server, {"Authorization": f"Bearer {server.api_key}"}).graphql(VIEWER).status == 200


def test_a_page_elsewhere_that_calls_itself_this_host_is_refused(client: Client) -> None:
    port = client.address.rpartition(":")[2]
    for host in ("attacker.example", f"attacker.example:{port}", f"127.0.0.1.attacker.example:{port}", ""):
        assert client.ask("GET", "/", headers={"Host": host}).status == 421
        assert looking(client).ask("GET", "/", headers={"Host": host}).status == 421
    assert client.ask("GET", "/", headers={"Host": f"localhost:{port}"}).status == 200


def test_the_cookie_lets_its_bearer_look_and_change_nothing(client: Client) -> None:
    client.run("one")
    browser = looking(client)
    assert browser.page("/local/music").status == 200
    assert client.server.api_key not in browser.headers["Cookie"]
    assert browser.graphql(VIEWER).status == 401
    assert browser.graphql(UPSERT, name="two", project="music").status == 401
    assert browser.stream("one", {}).status == 401
    assert "runs/two" not in client.page("/local/music").text


def test_login_gives_a_cookie_for_the_key_alone_and_leaves_no_key_in_the_address(client: Client) -> None:
    key = client.server.api_key
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        client.ask("GET", f"/login?key={key}&next=/local/music%3Fgroup=a"),
        client.ask("POST", "/login", f"key={key}&next=/local/music%3Fgroup=a".encode(), form),
    ):
        assert answer.status == 303
        assert answer.headers["location"] == "/local/music?group=a"
        assert answer.headers["referrer-policy"] == "no-referrer"
        parts = answer.headers["set-cookie"].lower().split("; ")
        assert {"httponly", "samesite=strict", "path=/"} <= set(parts)
    for answer in (client.ask("GET", "/login?key=no"), client.ask("POST", "/login", b"key=no", form)):
        assert answer.status == 401
        assert "set-cookie" not in answer.headers
    assert client.ask("POST", "/login", b"key=" + b"a" * 10_000, form).status == 413


@pytest.mark.parametrize(
    "wanted", ["//attacker.example", "/\\attacker.example", "https://attacker.example", "", "/%0d%0aX:1"]
)
def test_login_leads_to_no_other_site(client: Client, wanted: str) -> None:
    answer = client.ask("GET", f"/login?key={client.server.api_key}&next={wanted}")
    assert answer.headers["location"] == "/"


# How much they may bring


def test_a_body_that_is_too_large_is_refused_and_not_kept(client: Client, stranger: Client) -> None:
    client.graphql(VIEWER)
    before = memory_bytes(client.server)
    assert client.ask("POST", "/graphql", headers={"Content-Length": str(10**12)}).status == 413
    assert stranger.ask("POST", "/graphql", headers={"Content-Length": str(10**12)}).status == 401

    def endless() -> Iterator[bytes]:
        for _ in range(1024):
            yield b" " * MEGABYTE

    # The server answers before it has read everything, and hangs up.
    try:
        status = client.ask("POST", "/graphql", endless()).status
    except (BrokenPipeError, ConnectionResetError):
        status = 413
    assert status == 413
    assert memory_bytes(client.server) - before < 200 * MEGABYTE
    assert client.graphql(VIEWER).status == 200


@pytest.mark.parametrize(
    "query",
    [
        "{ viewer " * 5000 + "{ id }" + "}" * 5000,
        "{ " + "viewer { id } " * 20_000 + "}",
        "{ viewer { ...A } } fragment A on User { id ...A }",
        "{ viewer { ...A } } fragment A on User { ...B } fragment B on User { ...A }",
        "{ viewer { ...F0 } } "
        + " ".join(f"fragment F{n} on User {{ ...F{n + 1} ...F{n + 1} }}" for n in range(40))
        + " fragment F40 on User { id }",
        "{ viewer { ...Missing } }",
        "{ viewer {",
        "subscription { viewer { id } }",
        "{ viewer { id } } { viewer { id } }",
    ],
    ids=["deep", "wide", "recursion", "cycle", "doubling", "undefined", "cut", "subscription", "two"],
)
def test_a_query_without_end_is_refused(client: Client, query: str) -> None:
    answer = client.graphql(query)
    assert answer.status == 400
    assert len(answer.body) < 10_000
    assert client.graphql(VIEWER).json["data"]["viewer"]["username"] == "local"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"query": 1}',
        b'{"query": "{viewer{id}}", "variables": []}',
        b"\xff\xfe",
        b"[" * 10**5,
    ],
)
def test_malformed_bodies_are_refused_for_good(client: Client, body: bytes) -> None:
    answer = client.ask("POST", "/graphql", body)
    # `[]` as variables stands for none.
    assert answer.status == (200 if b"variables" in body else 400)


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"files": {"wandb-history.jsonl": {"content": "no list"}}},
        {"files": {"wandb-history.jsonl": {"content": ["{"]}}},
        {"files": {"wandb-history.jsonl": {"content": ["[1]"]}}},
        {"files": {"wandb-history.jsonl": {"content": ['{"_step": 1.5}']}}},
        {"files": {"wandb-history.jsonl": {"content": ['{"_step": 1e999}']}}},
        {"files": {"wandb-history.jsonl": {"content": [json.dumps({"_step": 10**30})]}}},
        {"files": {"wandb-history.jsonl": {"content": ['{"a": "\ud800"}']}}},
        {"files": {"wandb-history.jsonl": {"content": ['{"a": ' + "[" * 50_000 + "]" * 50_000 + "}"]}}},
        {"files": {"wandb-summary.json": {"content": ["nothing"]}}},
    ],
)
def test_a_malformed_post_of_a_run_is_refused_and_nothing_of_it_kept(client: Client, body: object) -> None:
    client.run("one")
    client.log("one", [{"_step": 0, "a": 1}])
    assert client.stream("one", body).status == 400
    query = '{ project(name: "music", entityName: "local") { run(name: "one") { historyLineCount } } }'
    assert client.graphql(query).json["data"]["project"]["run"]["historyLineCount"] == 1


# Where names lead


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_its_place(client: Client, name: str) -> None:
    if name:
        assert client.graphql(UPSERT, name="run", project=name).status == 400
    assert client.graphql(UPSERT, name=name, project="music").status == 400
    stored = {path.name for path in client.server.store.rglob("*")}
    assert stored <= {"store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "server.json", "key", "lock", "files"}


@pytest.mark.parametrize("name", FILES_OUTSIDE)
def test_no_name_of_a_file_leads_out_of_the_store(client: Client, name: str) -> None:
    client.run("one")
    assert client.graphql(FILES, name="one", project="music", files=[name]).status == 400


def test_paths_of_addresses_lead_nowhere(client: Client) -> None:
    key = client.server.api_key
    for path in (
        "/../key",
        "/storage/../key",
        "/storage/runs/1/../../../key?signature=",
        "/storage/runs/1/%2e%2e%2f%2e%2e%2fkey",
        "/local/..%2f..%2fkey",
        "/local/music/runs/..%2f..%2fkey",
        "/artifactsV2/local/../../../key/name",
        "/%00",
    ):
        answer = client.ask("GET", path)
        assert answer.status in (403, 404), path
        assert key not in answer.text


def test_only_addresses_that_were_given_out_lead_to_a_file(client: Client, stranger: Client) -> None:
    client.run("one")
    address = client.upload("one", "config.yaml", b"mine")
    other = client.upload("one", "other.yaml", b"another")
    answer = stranger.ask("GET", address)
    assert answer.body == b"mine"
    # Whatever was uploaded, a browser keeps it and doesn't show it as a page of this server.
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    path, signature = address.split("?")
    for wrong in (
        path,
        f"{path}?signature=",
        f"{path}?{signature[:-1]}",
        f"{path}x?{signature}",
        other.split("?")[0] + f"?{signature}",
    ):
        assert stranger.ask("GET", wrong).status == 403
        assert stranger.ask("PUT", wrong, b"theirs").status == 403
        assert client.ask("GET", wrong).status == 403
    assert stranger.ask("GET", address).body == b"mine"
