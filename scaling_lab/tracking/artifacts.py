"""What a run keeps in W&B besides its rows: the dataset it learned from, and the model that came of it.

A dataset is described, not published: a card, meta.json and the tokenizer, and the music itself only where
`tracking.log_dataset_text` asks for it. All of it follows from the data alone, so every run on a dataset makes the
very same artifact, and W&B, which knows artifacts by the digest of their content, keeps one version, whoever is first.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling_lab.data.dataset import Dataset
from scaling_lab.data.guide_format import find_splits
from scaling_lab.data.meta import META_FILE, read_meta

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


def dataset_card(dataset: Dataset) -> str:
    """What a person should know of the data, as Markdown; the same bytes wherever the same data lie."""
    meta = read_meta(dataset.dir)
    said = meta.model_dump(exclude_none=True) if meta else {}
    summary = dataset.summary()
    columns = list(summary["train"])
    table = [
        _row("split", *(column.replace("_", " ") for column in columns)),
        _row("---", *("---:" for _ in columns)),
        *(_row(name, *(_number(split[column]) for column in columns)) for name, split in summary.items()),
    ]
    facts = {
        "fingerprint": dataset.fingerprint,
        "licence": said.get("licence", "not stated"),
        "source": said.get("source", "not stated"),
        "token ids": f"{dataset.vocab_size:,}, {dataset.bos_id} opens a document and {dataset.eos_id} ends it",
        "tokenizer": said.get("tokenizer_file", "not among the data"),
    }
    lines = [f"# {said.get('name', 'Symbolic music')}", "", *(f"- {name}: {text}" for name, text in facts.items())]
    return "\n".join([*lines, "", "Lengths are of documents, in tokens.", "", *table]) + "\n"


def _facts(dataset: Dataset) -> dict[str, Any]:
    return {"fingerprint": dataset.fingerprint, "vocab_size": dataset.vocab_size, "splits": dataset.summary()}


def _described_by(dataset: Dataset) -> dict[str, Path]:
    """meta.json and the tokenizer it names, where they are there."""
    meta = read_meta(dataset.dir)
    names = [META_FILE, meta.tokenizer_file] if meta else []
    return {name: dataset.dir / name for name in names if name and (dataset.dir / name).is_file()}


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
