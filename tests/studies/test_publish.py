"""What a study found, kept on the server: the artifact of its report, and a W&B Report by the real wandb-workspaces."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from corpora import write_corpus
from servers import RunningServer

pytestmark = pytest.mark.slow

STUDY = (
    *("study", "--ladder", "mini", "--data-dir", "music", "--sizes", "tiny,small", "--threads", "1"),
    *("-o", "recipe.evaluations=2", "--batch-size-tokens", "512", "-o", "data.sequence_length=64", "--tokens", "4096"),
)
READ = """
import json, sys, wandb
api = wandb.Api()
artifact = api.artifact(f"music-scaling/study-{sys.argv[1]}:latest")
folder = artifact.download("kept")
report = api.reports("local/music-scaling")[0]
print(json.dumps({"type": artifact.type, "version": artifact.version, "title": report.display_name,
    "spec": report.spec, "description": report.description}))
"""


def run(server: RunningServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scaling_lab", *arguments]
    return subprocess.run(command, env=server.environment(), capture_output=True, text=True, timeout=300, check=False)


def test_a_study_keeps_its_report_and_publishes_it(server: RunningServer, folder: Path) -> None:
    write_corpus(folder / "music")
    trained = run(server, *STUDY, "--tracking", "online")
    assert trained.returncode == 0, trained.stderr
    sweep = json.loads((folder / "outputs/scaling_study/study.json").read_text())["sweep"].split("/")[-1]

    published = run(server, "report", "--project", "music-scaling", "--sweep", sweep, "--publish")
    assert published.returncode == 0, published.stderr
    assert f"W&B Report: {server.url}" in published.stderr
    html = Path(f"outputs/music-scaling.sweep-{sweep}.html").read_text()
    assert "report of" not in html, "what keeps reports is no run of a study"

    found = json.loads(server.python(READ, sweep, cwd=folder))
    assert (found["type"], found["version"]) == ("study", "v0")
    assert found["title"] == f"Scaling study: {sweep}"
    results = json.loads((folder / "outputs/scaling_study/scaling_study_results.json").read_text())
    assert found["description"] == results["sentence"]
    assert "mini-tiny-seed0" in json.dumps(found["spec"])
    for name in ("report.html", "scaling_study_results.json"):
        assert (folder / "kept" / name).read_bytes() == (folder / "outputs/scaling_study" / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--publish",), "give --project too"),
        (("--project", "music-scaling", "--publish", "--tracking", "local"), "W&B Reports are W&B's"),
    ],
)
def test_what_cant_be_published_is_said_before_anything_is_read(arguments: tuple[str, ...], said: str) -> None:
    command = [sys.executable, "-m", "scaling_lab", "report", *arguments]
    ended = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
