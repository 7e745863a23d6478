"""`scaling-lab data fetch`: a download over a real connection that breaks, goes on, and is checked."""

import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from cli_in_process import CommandLine

from scaling_lab.data.fetching import fetch
from scaling_lab.data.sources.folders import folders
from scaling_lab.data.sources.public import PUBLIC, PublicSource
from scaling_lab.errors import DataError, RemoteError

TUNE = "X:1\nM:4/4\nL:1/8\nK:D\nABcdefga|bagfedcB|\n"


@dataclass
class Archive:
    """A server of one file, that breaks off after so many bytes as long as `breaks` is not 0."""

    content: bytes
    breaks: int = 0
    etag: str = '"1"'
    ranges: list[str | None] = field(default_factory=list)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A Git repository with what a tree can hold: folders, an executable file, a link, names that sort oddly."""
    root = tmp_path / "repository"
    for name in ("scores/a.abc", "scores.abc", "scores-2/b.abc", "README.md", "LICENSE.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(TUNE + name)
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("README.md")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "all"]):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root


@pytest.fixture
def archive(repository: Path) -> Archive:
    command = ["git", "archive", "--format=tar.gz", "--prefix=Music-1/", "HEAD"]
    return Archive(subprocess.run(command, cwd=repository, capture_output=True, check=True).stdout)


@pytest.fixture
def source(repository: Path, archive: Archive) -> Iterator[PublicSource]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            archive.ranges.append(asked)
            begin = int(asked[6:-1]) if asked and self.headers.get("If-Range") == archive.etag else 0
            part = archive.content[begin:]
            self.send_response(206 if begin else 200)
            self.send_header("ETag", archive.etag)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: archive.breaks or None])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tree = subprocess.run(
        ["git", "rev-parse", "HEAD^{tree}"], cwd=repository, capture_output=True, text=True, check=True
    )
    address = f"http://127.0.0.1:{server.server_port}/music.tar.gz"
    yield PublicSource("music", address, tree.stdout.strip(), (".abc",), "CC0", "made up")
    server.shutdown()
    server.server_close()


def test_what_is_fetched_is_checked_and_its_licence_kept(source: PublicSource, folder: Path) -> None:
    assert fetch(source, folder / "data" / "music") == 3
    found = {
        path.relative_to(folder / "data" / "music").as_posix()
        for path in (folder / "data" / "music").rglob("*.*")
        if path.is_file()
    }
    assert found == {"scores/a.abc", "scores.abc", "scores-2/b.abc", "source.json"}
    assert (folder / "data/music/scores/a.abc").read_text() == TUNE + "scores/a.abc"
    described = folders([folder / "data" / "music"])
    assert (described.name, described.licence, described.origin) == ("music", "CC0", source.address)
    with pytest.raises(DataError, match="is there already"):
        fetch(source, folder / "data" / "music")


def test_broken_off_it_goes_on_where_it_was(source: PublicSource, archive: Archive, folder: Path) -> None:
    archive.breaks = 200
    with pytest.raises(RemoteError, match=r"broke off after 200 of [\d,]+ bytes; run the same command again"):
        fetch(source, folder / "music")
    assert not (folder / "music").exists()
    archive.breaks = 0
    assert fetch(source, folder / "music") == 3
    assert archive.ranges == [None, "bytes=200-"]
    assert sorted(path.name for path in folder.iterdir()) == [".music.lock", "music", "repository"]


def test_another_archive_is_loaded_from_its_beginning(source: PublicSource, archive: Archive, folder: Path) -> None:
    archive.breaks = 200
    with pytest.raises(RemoteError):
        fetch(source, folder / "music")
    archive.breaks, archive.etag = 0, '"2"'
    assert fetch(source, folder / "music") == 3


def test_a_changed_file_is_found_and_nothing_of_it_kept(source: PublicSource, archive: Archive, folder: Path) -> None:
    changed = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as old, tarfile.open(fileobj=changed, mode="w:gz") as new:
        for member in old:
            stream = old.extractfile(member) if member.isfile() else None
            content = stream.read() if stream else b""
            content = content.replace(b"ABc", b"ABC") if member.name.endswith("/a.abc") else content
            new.addfile(member, io.BytesIO(content))
    archive.content = changed.getvalue()
    with pytest.raises(RemoteError, match="what was sent is not music: its Git tree is"):
        fetch(source, folder / "music")
    archive.content = hashlib.sha256(b"").digest() * 100
    with pytest.raises(RemoteError, match="no whole archive"):
        fetch(source, folder / "music")
    assert sorted(path.name for path in folder.iterdir()) == [".music.lock", "repository"]


def test_without_a_network_the_command_says_so(
    folder: Path, scaling_lab: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = scaling_lab("data", "fetch")
    assert listed.code == 0
    assert all(name in listed.out for name in PUBLIC)
    assert "CC0" in listed.out
    name = next(iter(PUBLIC))
    monkeypatch.setitem(PUBLIC, name, replace(PUBLIC[name], address="http://127.0.0.1:9/music.tar.gz"))
    ended = scaling_lab("data", "fetch", name)
    assert ended.code == 4
    assert "can't be loaded: [Errno 111] Connection refused; is this machine online?" in ended.err
    assert scaling_lab("data", "fetch", "nothing").code == 2
    assert not (folder / "data/sources" / name).exists()


def test_addresses_are_of_one_commit() -> None:
    assert json.dumps([source.address for source in PUBLIC.values()]).count("https://codeload.github.com/") == len(
        PUBLIC
    )
    assert {len(source.address.rsplit("/", 1)[1]) for source in PUBLIC.values()} == {40}
