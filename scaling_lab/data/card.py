"""What a person should know of a dataset, as Markdown; the same bytes wherever the same data lie."""

from collections.abc import Mapping

from scaling_lab.data.dataset import Dataset
from scaling_lab.data.meta import read_meta


def dataset_card(dataset: Dataset, preparation: Mapping[str, int] | None = None) -> str:
    """The card of a dataset; `preparation` counts what became of the tunes it was prepared from, by what it was."""
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
    lines += ["", "Lengths are of documents, in tokens.", "", *table]
    if preparation:
        lines += ["", "What became of the tunes that it was prepared from:", ""]
        lines += [_row("tunes", ""), _row("---", "---:")]
        lines += [_row(name, _number(count)) for name, count in preparation.items()]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"
