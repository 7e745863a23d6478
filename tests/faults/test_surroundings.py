"""Clock, time zone, locale, names of folders and the home: none of them changes a number or a byte of what is made.

Real commands in real processes; what can't be had here as it is (a clock set back, a library that takes the locale over
for the whole process) is done to them by a `sitecustomize` of their own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from corpora import write_corpus
from servers import RunningServer
from small_disks import small_disk
from study_folders import Study

import scaling_lab
from scaling_lab.localserver import serving
from scaling_lab.tracking.journal import read_journal
from scaling_lab.tracking.metrics import TIMED_METRICS

pytestmark = pytest.mark.slow

N_STEPS = 30
TRAIN = (
    *("train", "--ladder", "mini", "--size", "tiny", "--name", "mine", "--threads", "1", "--tracking", "local"),
    *("--batch-size-tokens", "256", "--tokens", str(256 * N_STEPS), "--data-dir", "music"),
    *("-o", "data.sequence_length=64", "-o", "machine.checkpoint_every_seconds=0", "-o", "model.d_model=16"),
)
RUNS = """{ project(name: "music-scaling", entityName: "local") {
  runs { edges { node { historyLineCount state } } } } }"""
# A day back, half a second after a process began; it has no say in the monotonic clock, nor has anybody else.
CLOCK_SET_BACK = """
import time
_begun, _told = time.monotonic(), time.time
time.time = lambda: _told() - (86_400 if time.monotonic() - _begun > 0.5 else 0)
time.time_ns = lambda: int(time.time() * 1e9)
"""
LOCALE_TAKEN_OVER = "import locale; locale.setlocale(locale.LC_ALL, ''); assert locale.str(0.5) == '0,5'"


@dataclass
class Made:
    """What train and report make of the same data in some surroundings."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    sitecustomize: str = ""

    def make(self) -> "Made":
        write_corpus(self.folder / "music")
        Study(self.folder / "runs", noise=0.002).write(seeds=2)
        self.run(*TRAIN)
        self.report = self.run("report", "--results-dir", "runs", "--json")
        self.page = (self.folder / "runs" / "report.html").read_bytes()
        self.fit = self.run("fit", "table.csv", "--predict", "1.5M", "--json")
        return self

    def run(self, *words: str) -> str:
        (self.folder / "table.csv").write_text(
            "params,loss\n" + "".join(f"{n},{60 * n**-0.45 + 1.2:.6f}\n" for n in (1e4, 6e4, 2e5, 5e5, 1.2e6))
        )
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "SCALING_LAB_"))}
        paths = [Path(scaling_lab.__file__).parents[1]]
        if self.sitecustomize:
            customized = self.folder / "customized"
            customized.mkdir(exist_ok=True)
            (customized / "sitecustomize.py").write_text(self.sitecustomize)
            paths.insert(0, customized)
        environment = kept | {"PYTHONPATH": os.pathsep.join(map(str, paths))} | self.environment
        ended = subprocess.run(
            [sys.executable, "-m", "scaling_lab", *words],
            cwd=self.folder,
            env={name: value for name, value in environment.items() if value},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=200,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        assert "W&B failed" not in ended.stderr
        return ended.stdout

    @property
    def rows(self) -> list[dict[str, float]]:
        """The journal without what a clock said."""
        return [
            {name: value for name, value in row.items() if name not in TIMED_METRICS}
            for row in read_journal(self.folder / "outputs" / "mine" / "metrics.jsonl")
        ]

    def rows_on_server(self) -> int:
        with serving(self.folder / "outputs" / "local-wandb") as server:
            asked = RunningServer(self.folder, self.folder, url=server.url, api_key=server.api_key).graphql(RUNS)
        (edge,) = asked["project"]["runs"]["edges"]
        assert edge["node"]["state"] == "finished"
        return edge["node"]["historyLineCount"]


def homeless(folder: Path) -> dict[str, str]:
    """A home of its own for whatever the SDK keeps there."""
    (folder / "home").mkdir(parents=True)
    return {"HOME": str(folder / "home")}


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("usual")
    return Made(folder / "here", homeless(folder)).make()


@pytest.fixture
def german(tmp_path: Path) -> dict[str, str]:
    """A locale in which one half is 0,5."""
    path = tmp_path / "locales"
    path.mkdir()
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", str(path / "de_DE.UTF-8")],
        capture_output=True,
        text=True,
        check=False,
    )
    if not (path / "de_DE.UTF-8").exists():
        pytest.skip(f"a locale with decimal commas can't be made here: {made.stderr.strip()}")
    return {"LOCPATH": str(path), "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8", "LANGUAGE": "de"}


@pytest.fixture
def read_only_home(tmp_path: Path) -> Iterator[dict[str, str]]:
    with small_disk(tmp_path / "home") as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk.path)], check=True)
        yield {"HOME": str(disk.path)}


def assert_same(made: Made, usual: Made) -> None:
    assert made.rows == usual.rows
    assert made.rows_on_server() == N_STEPS
    assert json.loads(made.report) == json.loads(usual.report)
    assert made.page == usual.page
    assert made.fit == usual.fit


def test_time_zone_decimal_commas_and_names_of_folders_change_nothing(
    tmp_path: Path, usual: Made, german: dict[str, str]
) -> None:
    folder = tmp_path / "Große Übung – 音楽 ♫" / "with spaces and 'quotes\" $HOME"
    environment = homeless(tmp_path) | german | {"TZ": "Asia/Kathmandu"}
    assert_same(Made(folder, environment, LOCALE_TAKEN_OVER).make(), usual)


def test_a_clock_set_back_and_a_home_that_cannot_be_written_change_nothing(
    tmp_path: Path, usual: Made, read_only_home: dict[str, str]
) -> None:
    assert_same(Made(tmp_path / "here", read_only_home, CLOCK_SET_BACK).make(), usual)


def test_no_home_and_no_utf_8_change_nothing(tmp_path: Path, usual: Made) -> None:
    surroundings = {"HOME": "", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    # What the SDK would keep in the home that the system names.
    places = {f"WANDB_{what}_DIR": str(tmp_path / what) for what in ("CACHE", "DATA", "CONFIG")}
    assert_same(Made(tmp_path / "here", surroundings | places).make(), usual)
