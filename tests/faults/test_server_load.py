"""What is sent to a local server to break it, beyond tests/localserver/test_safety.py: bombs, and slow clients."""

import gzip
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from server_client import Client
from servers import RunningServer

pytestmark = pytest.mark.slow

MEGABYTE = 2**20
VIEWER = "{ viewer { username } }"
N_SLOW = 300


@pytest.fixture
def client(server: RunningServer) -> Client:
    return Client(server)


def peak_bytes(server: RunningServer) -> int:
    """The most memory that the server's process ever had."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.parametrize("path", ["/graphql", "/files/local/music/one/file_stream", "/login"])
def test_a_body_that_would_unpack_to_gigabytes_is_never_unpacked(client: Client, path: str) -> None:
    client.run("one")
    before = peak_bytes(client.server)
    bomb = gzip.compress(b'{"query": "') + gzip.compress(b" " * MEGABYTE) * 2048
    assert len(bomb) < 3 * MEGABYTE
    answer = client.ask("POST", path, bomb, {"Content-Encoding": "gzip"})
    assert answer.status in (400, 401, 413)
    assert peak_bytes(client.server) - before < 100 * MEGABYTE
    assert client.graphql(VIEWER).json["data"]["viewer"]["username"] == "local"


def test_clients_that_never_finish_keep_no_one_else_from_being_served(client: Client) -> None:
    host, _, port = client.address.rpartition(":")
    begun = (
        b"POST /graphql HTTP/1.1\r\nHost: ",
        # The key is right, and of the body one byte comes.
        f"POST /graphql HTTP/1.1\r\nHost: {client.address}\r\nAuthorization: {client.headers['Authorization']}\r\n"
        "Content-Length: 100\r\n\r\n{".encode(),
        # A stranger who never reads what he is answered.
        f"GET / HTTP/1.1\r\nHost: {client.address}\r\n\r\n".encode() * 50,
    )
    client.run("one")
    with ExitStack() as slow:
        connections = [slow.enter_context(socket.create_connection((host, int(port)))) for _ in range(N_SLOW)]
        for number, connection in enumerate(connections):
            connection.sendall(begun[number % len(begun)])
        for step in range(20):
            client.log("one", [{"_step": step, "loss": 1.0}])
            for connection in connections[0::3]:
                connection.sendall(b"x")
        assert client.page("/local/music").status == 200
    query = '{ project(name: "music", entityName: "local") { run(name: "one") { historyLineCount } } }'
    assert client.graphql(query).json["data"]["project"]["run"]["historyLineCount"] == 20
    # Those who leave in the middle leave nothing behind.
    assert client.graphql(VIEWER).status == 200
