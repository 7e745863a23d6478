"""Having a server: one for a store, shared, gone when nobody needs it, and nothing written into the user's home."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from server_client import Client
from servers import RunningServer, give_own_port, wait_until

from scaling_lab.errors import RemoteError, UsageError
from scaling_lab.files import is_locked
from scaling_lab.localserver import find_server, serving
from scaling_lab.localserver.server import PORT, UNUSED_POLL_SECONDS, AnnouncedServer, leave_when_unused
from scaling_lab.localserver.serving import USERS_FILE
from scaling_lab.localserver.store import Store

pytestmark = pytest.mark.slow


def test_a_server_is_started_shared_and_leaves_with_its_last_user(tmp_path: Path) -> None:
    store = tmp_path / "store"
    assert find_server(store) is None
    with serving(store) as first:
        with serving(store) as second:
            assert second == first
        assert find_server(store) == first
        assert first.environment() == {"WANDB_BASE_URL": first.url, "WANDB_API_KEY": first.api_key}
    wait_until(lambda: find_server(store) is None, what="the server to leave")
    with serving(store) as again:
        # Addresses that were printed before are good again.
        assert again == first


def serve_at_once(stores: list[Path]) -> list[str]:
    """The address that each of several commands has, all of them begun together and there together."""
    found: list[str] = []
    all_in = threading.Barrier(len(stores))

    def use(store: Path) -> None:
        with serving(store) as server:
            found.append(server.url)
            all_in.wait(60)

    users = [threading.Thread(target=use, args=(store,)) for store in stores]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
    return found


def test_commands_that_begin_at_once_share_one_server(tmp_path: Path) -> None:
    found = serve_at_once([tmp_path / "store"] * 4)
    assert len(found) == 4
    assert len(set(found)) == 1


def test_commands_of_several_stores_that_begin_at_once_have_a_port_each(tmp_path: Path) -> None:
    found = serve_at_once([tmp_path / f"store{number}" for number in range(4)])
    assert len(set(found)) == 4


def test_a_running_server_is_shared_and_stays(server: RunningServer) -> None:
    with serving(server.store) as shared:
        assert shared.url == server.url
        assert shared.api_key == server.api_key
    assert find_server(server.store) is not None


def test_a_server_of_another_store_at_the_old_address_is_not_taken_for_this_ones(
    server: RunningServer, tmp_path: Path
) -> None:
    store = tmp_path / "other"
    store.mkdir()
    (store / "server.json").write_text((server.store / "server.json").read_text())
    assert find_server(store) is None
    with serving(store) as own:
        assert own.url != server.url
        assert own.api_key != server.api_key
        assert find_server(store) == own


def test_who_comes_while_a_server_leaves_waits_until_it_is_gone(tmp_path: Path) -> None:
    # It still answers for a moment then, and would be taken for one that stays.
    server = AnnouncedServer(uvicorn.Config("nobody:app"))
    leave_when_unused(tmp_path, server)
    assert server.should_exit
    assert is_locked(tmp_path / USERS_FILE)
    assert server.left is not None
    server.left.close()
    assert not is_locked(tmp_path / USERS_FILE)


def test_a_server_outlives_no_command_that_was_killed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    source = "import sys, time\nfrom pathlib import Path\nfrom scaling_lab.localserver import serving\n"
    source += "with serving(Path(sys.argv[1])) as server:\n    print(server.url, flush=True)\n    time.sleep(600)\n"
    with subprocess.Popen([sys.executable, "-c", source, str(store)], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        assert user.stdout.readline().startswith("http://127.0.0.1:")
        user.kill()
    wait_until(lambda: find_server(store) is None, what="the server to leave")


def test_a_server_that_dies_under_its_users_is_started_again_where_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    give_own_port(store)
    with serving(store) as server:
        os.kill(json.loads((store / "server.json").read_text())["pid"], signal.SIGKILL)
        wait_until(lambda: find_server(store) is None, what="its end")
        assert wait_until(lambda: find_server(store), what="another") == server
        wait_until(lambda: "was lost; another took its place" in capfd.readouterr().err, what="words")
    wait_until(lambda: find_server(store) is None, what="it to leave with its last user")


def test_a_server_that_can_not_be_started_again_is_tried_until_it_can(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    give_own_port(store)
    with serving(store) as server:
        (store / "store.sqlite").rename(store / "elsewhere")
        (store / "store.sqlite").mkdir()
        os.kill(json.loads((store / "server.json").read_text())["pid"], signal.SIGKILL)
        said = wait_until(lambda: capfd.readouterr().err, what="words")
        assert "the local server did not start" in said
        assert "it is tried again" in said
        (store / "store.sqlite").rmdir()
        (store / "elsewhere").rename(store / "store.sqlite")
        assert wait_until(lambda: find_server(store), what="another") == server


def test_a_store_of_the_version_before_is_taken_on(make_server: Callable[..., RunningServer], tmp_path: Path) -> None:
    server = make_server()
    client = Client(server)
    client.run("one")
    server.stop()
    with sqlite3.connect(server.store / "store.sqlite") as store:
        store.executescript("ALTER TABLE trials DROP COLUMN reached; PRAGMA user_version = 1;")
    server.start()
    assert "runs/one" in client.page("/local/music").text
    server.stop()
    server.start()
    assert "runs/one" in client.page("/local/music").text


@pytest.mark.parametrize("content", [b"no store at all, whatever its name", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_store_is_named_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "store.sqlite").write_bytes(content)
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"{tmp_path / 'store.sqlite'}: can't be opened (")
    assert "Traceback" not in ended.stderr
    assert (tmp_path / "store.sqlite").read_bytes() == content


def test_one_process_serves_a_store(server: RunningServer) -> None:
    with pytest.raises(UsageError, match="another process serves this store"):
        Store(server.store)
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(server.store)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert second.stdout == f"export WANDB_BASE_URL={server.url}\nexport WANDB_API_KEY={server.api_key}\n"
    assert "is served already; the lines above are those of its server" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.parametrize("content", ["", "\n", "short", "local-" + "g" * 40])
def test_a_store_whose_key_is_none_is_not_served(tmp_path: Path, content: str) -> None:
    (tmp_path / "key").write_text(content)
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    said = f"{tmp_path / 'key'}: holds no key; remove it, and a new one is made"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{said}\n")
    with pytest.raises(UsageError, match="holds no key"), serving(tmp_path):
        raise AssertionError


def test_what_keeps_a_server_from_starting_is_told_by_who_needs_it(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"no store at all, whatever its name")
    with pytest.raises(RemoteError, match=r"did not start: .*store\.sqlite: can't be opened"), serving(tmp_path):
        raise AssertionError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_would_leave_with_a_command_is_kept_by_one_who_asks_for_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(store)]
    with serving(store) as server:
        kept = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert kept.stdout is not None
        assert kept.stdout.readline() == f"export WANDB_BASE_URL={server.url}\n"
    with pytest.raises(subprocess.TimeoutExpired):
        kept.wait(3 * UNUSED_POLL_SECONDS)
    assert find_server(store) == server
    kept.send_signal(number)
    _, said = kept.communicate(timeout=30)
    assert (kept.returncode, "Ctrl-C ends the server" in said) == (0, True)
    wait_until(lambda: find_server(store) is None, what="the server to leave")


def test_a_server_that_comes_and_goes_does_not_move_the_usual_port(tmp_path: Path) -> None:
    def address() -> dict[str, Any]:
        return json.loads((store / "server.json").read_bytes())

    store = tmp_path / "store"
    with serving(store):
        assert address()["usual_port"] == PORT
    wait_until(lambda: find_server(store) is None, what="the server to leave")
    # Somebody else has the usual port for a while.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        usual = taken.getsockname()[1]
        (store / "server.json").write_text(json.dumps(address() | {"usual_port": usual}))
        with serving(store) as other:
            assert other.url != f"http://127.0.0.1:{usual}"
            assert address()["usual_port"] == usual
        wait_until(lambda: find_server(store) is None, what="the server to leave")
        # Its own address of last time is the next best.
        with serving(store) as again:
            assert again == other
    wait_until(lambda: find_server(store) is None, what="the server to leave")
    with serving(store) as again:
        assert again.url == f"http://127.0.0.1:{usual}"


def test_the_key_is_the_owners_alone_and_stays_the_same(server: RunningServer) -> None:
    key = server.store / "key"
    assert key.stat().st_mode & 0o077 == 0
    assert key.read_text().strip() == server.api_key
    server.stop()
    assert server.start().api_key == server.api_key


def test_a_taken_port_is_said(server: RunningServer, tmp_path: Path) -> None:
    port = server.url.rsplit(":", 1)[1]
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(tmp_path / "other"), "--port", port]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "give another --host or --port" in ended.stderr
    assert "Traceback" not in ended.stderr
