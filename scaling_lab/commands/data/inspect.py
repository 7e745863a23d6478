"""`scaling-lab data inspect`: what is in a dataset, on the terminal or as a page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_lab.commands.output_paths import require_file, written_to
from scaling_lab.commands.tables import number, table

if TYPE_CHECKING:
    from scaling_lab.data.dataset import Dataset
    from scaling_lab.data.inspection import Inspection

_MOST_ROWS = 12
_BAR_WIDTH = 40


def inspect(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that holds train/data.json.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write it as an HTML page.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as pure JSON.")] = False,
) -> None:
    """Say what is in a dataset: counts by split, lengths, keys and metres, and three tunes."""
    from dataclasses import asdict

    from scaling_lab.data.dataset import open_dataset
    from scaling_lab.data.inspection import inspect as inspect_dataset

    if out is not None:
        require_file(out)
    dataset = open_dataset(directory)
    found = inspect_dataset(dataset)
    if out is not None:
        from scaling_lab.report.dataset_page import write_dataset_page

        with written_to(out):
            write_dataset_page(dataset, found, out)
        typer.echo(f"page at {out}")
    elif as_json:
        content = {"name": dataset.name, "fingerprint": dataset.fingerprint, "licence": dataset.licence}
        typer.echo(json.dumps({**content, "splits": dataset.summary(), **asdict(found)}, indent=2))
    else:
        typer.echo(_as_text(dataset, found))


def _as_text(dataset: "Dataset", found: "Inspection") -> str:
    splits = dataset.summary()
    names = next(iter(splits.values()))
    rows = [["", *splits]]
    rows += [[name.replace("_", " "), *(number(split[name]) for split in splits.values())] for name in names]
    lines = [f"{dataset.name} ({dataset.fingerprint}), licence: {dataset.licence or 'not stated'}", "", *table(rows)]
    lengths = {f"{bin_.low:,} to {bin_.high:,}": bin_.documents for bin_ in found.lengths}
    lines += ["", "tokens a document", *_bars(lengths)]
    for title, counts in (("key", found.keys), ("metre", found.metres)):
        lines += ["", title, *_bars(_with_rest(counts))] if counts else []
    for tune in found.tunes:
        lines += ["", f"{tune.place} ({tune.tokens:,} tokens)", tune.text.rstrip("\n")]
    if not found.tunes:
        lines += ["", "the data carry no text, so there are no keys, metres and tunes to show"]
    return "\n".join(lines)


def _with_rest(counts: Mapping[str, int]) -> dict[str, int]:
    """The first dozen, and all others together."""
    first = dict(list(counts.items())[:_MOST_ROWS])
    rest = sum(counts.values()) - sum(first.values())
    return {**first, **({f"{len(counts) - len(first)} others": rest} if rest else {})}


def _bars(counts: Mapping[str, int]) -> list[str]:
    most = max(counts.values(), default=0) or 1
    lines = table([[name, number(count)] for name, count in counts.items()])
    return [
        f"  {line}  {'▇' * max(1, round(_BAR_WIDTH * count / most)) if count else ''}".rstrip()
        for line, count in zip(lines, counts.values(), strict=True)
    ]
