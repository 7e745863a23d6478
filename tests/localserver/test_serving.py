"""Having a server: one for a store, shared, gone when nobody needs it, and nothing written into the user's home."""

import json
import socket
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
import uvicorn
from servers import RunningServer, wait_until

from scaling_lab.errors import UsageError
from scaling_lab.files import is_locked
from scaling_lab.localserver import find_server, serving
from scaling_lab.localserver.server import PORT, AnnouncedServer, leave_when_unused
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


def test_commands_that_begin_at_once_share_one_server(tmp_path: Path) -> None:
    found: list[str] = []
    all_in = threading.Barrier(4)

    def use() -> None:
        with serving(tmp_path / "store") as server:
            found.append(server.url)
            all_in.wait(60)

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join(60)
    assert len(found) == 4
    assert len(set(found)) == 1


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


def test_one_process_serves_a_store(server: RunningServer) -> None:
    with pytest.raises(UsageError, match="another process serves this store"):
        Store(server.store)
    command = [sys.executable, "-m", "scaling_lab", "server", "--store", str(server.store)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 2
    assert second.stdout == f"export WANDB_BASE_URL={server.url}\nexport WANDB_API_KEY={server.api_key}\n"
    assert "is served already; the lines above are those of its server" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_server_that_comes_and_goes_does_not_move_the_usual_port(tmp_path: Path) -> None:
    def port_of(url: str) -> int:
        return int(url.rsplit(":", 1)[1])

    store = tmp_path / "store"
    with serving(store) as first:
        usual = json.loads((store / "server.json").read_bytes())["usual_port"]
    wait_until(lambda: find_server(store) is None, what="the server to leave")
    assert usual == PORT
    # Somebody else has the usual port for a while.
    with (
        socket.create_server(("127.0.0.1", usual)) if port_of(first.url) == usual else nullcontext(),
        serving(store) as other,
    ):
        assert port_of(other.url) != usual
        assert json.loads((store / "server.json").read_bytes())["usual_port"] == usual


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
