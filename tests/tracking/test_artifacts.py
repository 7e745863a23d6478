"""Artifacts by the real SDK: a dataset described once, used by every run on it, never published unasked."""

import json

import pytest
from corpora import write_corpus
from trainings import Training

from scaling_lab.data.card import dataset_card
from scaling_lab.data.dataset import open_dataset

pytestmark = pytest.mark.slow

_READ = """
import json, wandb
api = wandb.Api()
def told(artifact):
    return {"name": artifact.name, "aliases": sorted(artifact.aliases), "files": sorted(artifact.manifest.entries)}
runs = api.runs("local/music-scaling")
print(json.dumps({
    "used": {run.name: [told(artifact) for artifact in run.used_artifacts()] for run in runs},
    "models": {run.name: [told(artifact) for artifact in run.logged_artifacts() if artifact.type == "model"]
               for run in runs},
    "versions": [told(artifact) for collection in api.artifact_type("dataset", "local/music-scaling").collections()
                 for artifact in collection.artifacts()],
}))
"""
META = {"vocab_size": 20, "bos_id": 18, "eos_id": 19, "name": "made-up", "licence": "CC0", "tokenizer_file": "t.json"}


@pytest.fixture
def described(training: Training) -> Training:
    """A dataset with a meta.json and a tokenizer, of a kind that is only handed on."""
    training.steps = 20
    (training.folder / "music" / "meta.json").write_text(json.dumps(META))
    (training.folder / "music" / "t.json").write_text(json.dumps({"type": "another"}))
    return training


def test_runs_that_begin_at_once_use_one_version_of_their_dataset(described: Training) -> None:
    processes = [described.start("--name", name) for name in ("one", "two")]
    for process in processes:
        _, said = process.communicate(timeout=180)
        assert process.returncode == 0, said
        assert "warning: W&B" not in said
    described.finish("--name", "three")
    found = json.loads(described.server.python(_READ, cwd=described.folder))
    (version,) = found["versions"]
    fingerprint = open_dataset(described.folder / "music").fingerprint
    assert version["name"] == f"data-{fingerprint}:v0"
    assert version["files"] == ["README.md", "meta.json", "t.json"]
    assert found["used"] == {name: [version] for name in ("one", "two", "three")}
    for name, models in found["models"].items():
        (model,) = models
        assert model == {"name": f"model-{name}:v0", "aliases": ["best", "latest"], "files": ["best_model.pt"]}


def test_the_music_itself_is_kept_where_that_is_asked(described: Training) -> None:
    described.finish("-o", "tracking.log_dataset_text=true")
    found = json.loads(described.server.python(_READ, cwd=described.folder))
    (version,) = found["versions"]
    assert version["files"] == ["README.md", "meta.json", "t.json", "train/data.json", "val/data.json"]


def test_the_card_says_what_the_data_are_and_shows_none_of_them(described: Training) -> None:
    write_corpus(described.folder / "elsewhere")
    for name in ("meta.json", "t.json"):
        (described.folder / "elsewhere" / name).write_bytes((described.folder / "music" / name).read_bytes())
    dataset = open_dataset(described.folder / "music")
    card = dataset_card(dataset)
    assert card == dataset_card(open_dataset(described.folder / "elsewhere"))
    assert card.startswith("# made-up\n")
    assert f"- fingerprint: {dataset.fingerprint}\n- licence: CC0\n" in card
    counts = dataset.train.summary()
    assert f"| train | {counts['documents']} | {counts['tokens']:,} | " in card
    texts = [json.loads(line)["abc"] for line in (described.folder / "music/train/data.json").read_text().splitlines()]
    assert not any(text[:12] in card for text in texts)
