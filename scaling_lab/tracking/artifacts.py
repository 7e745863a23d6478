"""What a run keeps in W&B besides its rows: the dataset it learned from, and the model that came of it.

A dataset is described, not published: a card, meta.json and the tokenizer, and the music itself only where
`tracking.log_dataset_text` asks for it. All of it follows from the data alone, so every run on a dataset makes the
very same artifact, and W&B, which knows artifacts by the digest of their content, keeps one version, whoever is first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling_lab.data.card import dataset_card
from scaling_lab.data.dataset import Dataset
from scaling_lab.data.meta import META_FILE, read_meta
from scaling_lab.data.packing.guide_format import find_splits

if TYPE_CHECKING:
    from wandb import Artifact

CARD_FILE = "README.md"


def dataset_artifact(dataset: Dataset, *, with_text: bool) -> "Artifact":
    """`data-<fingerprint>`, not yet logged."""
    import wandb

    artifact = wandb.Artifact(f"data-{dataset.fingerprint}", type="dataset", metadata=_facts(dataset))
    with artifact.new_file(CARD_FILE, encoding="utf-8") as card:
        card.write(dataset_card(dataset))
    for name, path in _described_by(dataset).items():
        artifact.add_file(str(path), name, skip_cache=True)
    if with_text:
        for path in find_splits(dataset.dir).values():
            artifact.add_file(str(path), path.relative_to(dataset.dir).as_posix(), skip_cache=True, policy="immutable")
    return artifact


def model_artifact(run_name: str, path: Path, facts: Mapping[str, Any]) -> "Artifact":
    """`model-<run>`, not yet logged: the weights with the run's lowest validation loss."""
    import wandb

    artifact = wandb.Artifact(f"model-{run_name}", type="model", metadata=dict(facts))
    artifact.add_file(str(path), skip_cache=True, policy="immutable")
    return artifact


def _facts(dataset: Dataset) -> dict[str, Any]:
    return {"fingerprint": dataset.fingerprint, "vocab_size": dataset.vocab_size, "splits": dataset.summary()}


def _described_by(dataset: Dataset) -> dict[str, Path]:
    """meta.json and the tokenizer it names, where they are there."""
    meta = read_meta(dataset.dir)
    names = [META_FILE, meta.tokenizer_file] if meta else []
    return {name: dataset.dir / name for name in names if name and (dataset.dir / name).is_file()}
