"""`scaling-lab data prepare`: from a folder of music to a dataset, with a word on what it is worth for training."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from scaling_lab.commands.tables import number, table

if TYPE_CHECKING:
    from scaling_lab.data.preparation.prepare import PreparationSummary
    from scaling_lab.data.sources.source import Source

Format = Literal["auto", "abc", "midi", "musicxml", "jsonl"]
SourceName = Literal["music21-core", "music21-essen"]

# Tokens for each parameter at which training is compute-optimal (Hoffmann et al., 2203.15556, table 3).
TOKENS_PER_PARAMETER = 20
_COUNTS = (
    "documents",
    "tokens",
    "unique_tokens",
    "characters",
    "notes",
    "length_p50",
    "length_p95",
    "length_max",
    "longer_than_context",
)


def prepare(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the dataset is written: a new or an empty folder.")],
    input_: Annotated[
        list[Path] | None,
        typer.Option("--input", metavar="DIR", help="A folder or file of music; may be given more than once."),
    ] = None,
    source: Annotated[SourceName | None, typer.Option(help="In place of --input: a collection of music21.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="Read files of one format alone.")] = "auto",
    tokenizer: Annotated[str, typer.Option(metavar="char|bpe:N", help="What a token is.")] = "char",
    context: Annotated[int, typer.Option(min=2, help="Tokens that training sees at once, to be counted with.")] = 5000,
    transpose: Annotated[
        bool, typer.Option("--transpose", help="Training tunes in the eleven other keys of their mode too.")
    ] = False,
    plan: Annotated[
        int | None, typer.Option(min=1, metavar="TOKENS", help="Say how many epochs so many tokens are.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes that convert; absent: one a core.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Do all of it, and keep nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as pure JSON.")] = False,
) -> None:
    """Make ABC, MIDI, MusicXML or records of the guide into a dataset: counted, deduplicated, split without leaks.

    Interrupted, the same command goes on where it was.
    """
    import tempfile

    from scaling_lab.commands.progress import ConversionProgress
    from scaling_lab.data.conversion.pool import n_workers
    from scaling_lab.data.preparation.prepare import prepare as prepare_source
    from scaling_lab.data.tokenization.kinds import TokenizerKind

    kind = TokenizerKind.parse(tokenizer)
    found, notice = _source(input_ or [], source, format_, out)
    if notice:
        print(f"notice: {notice}", file=sys.stderr)
    with ExitStack() as stack:
        if dry_run:
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="scaling-lab-prepare-"))
            directory = Path(scratch) / found.name
        else:
            directory = out
        progress = stack.enter_context(ConversionProgress(found.name))
        workers = workers or n_workers()
        summary = prepare_source(found, directory, kind, transpose=transpose, workers=workers, watch=progress.watch)
        content = _content(summary, directory, context, plan)
    typer.echo(json.dumps(content, indent=2) if as_json else _as_text(content))
    if not as_json:
        typer.echo("dry run: nothing was kept" if dry_run else f"in {out}; next: scaling-lab study --data-dir {out}")


def _source(inputs: list[Path], name: SourceName | None, format_: Format, out: Path) -> tuple["Source", str | None]:
    """The source that was asked for, and what must be said of its licence."""
    from scaling_lab.data.sources.folders import folders
    from scaling_lab.data.sources.music21 import COLLECTIONS, music21
    from scaling_lab.errors import UsageError

    if bool(inputs) == (name is not None):
        raise UsageError(
            f"data prepare: {'--input and --source are one too many' if inputs else 'nothing to prepare'}; give either "
            f"--input DIR, or --source with one of {', '.join(COLLECTIONS)}"
        )
    if name:
        return music21(COLLECTIONS[name]), COLLECTIONS[name].notice
    for given in inputs:
        if out.resolve().is_relative_to(given.resolve()):
            raise UsageError(
                f"--out {out}: lies inside --input {given}, and would be read next time; name another folder"
            )
    return folders(inputs, None if format_ == "auto" else format_), None


def _content(summary: "PreparationSummary", directory: Path, context: int, plan: int | None) -> dict[str, Any]:
    """The summary, with what it means for training."""
    from dataclasses import asdict

    import numpy as np

    from scaling_lab.data.dataset import open_dataset

    dataset = open_dataset(directory)
    content = asdict(summary)
    for name, split in (("train", dataset.train), ("val", dataset.val), ("test", dataset.test)):
        if split is not None:
            content["splits"][name]["longer_than_context"] = int((np.diff(split.offsets) > context).sum())
    content["outcomes"] = summary.outcomes()
    content["context"] = context
    content["plan"] = plan
    content["sizes"] = _sizes(summary.vocab_size)
    return content


def _sizes(vocab_size: int) -> list[dict[str, Any]]:
    """Parameters of each size of both ladders, and the tokens at which it would be trained compute-optimally."""
    from scaling_lab.config import LADDERS, SIZES, load_config
    from scaling_lab.model.cost import count_parameters

    sizes = []
    for ladder in LADDERS:
        for size in SIZES:
            model = load_config(size=size, ladder=ladder, environ={}).model
            n = count_parameters(model, vocab_size).non_embedding
            sizes.append({"ladder": ladder, "size": size, "n": n, "tokens": TOKENS_PER_PARAMETER * n})
    return sizes


def _as_text(content: dict[str, Any]) -> str:
    splits = content["splits"]
    train_tokens = splits["train"]["tokens"]
    rows = [["", *splits]]
    rows += [[_label(name, content), *(number(split[name]) for split in splits.values())] for name in _COUNTS]
    outcomes = [["tunes", ""], *([f"  {name}", number(count)] for name, count in content["outcomes"].items())]
    sizes = [["", "N", f"{TOKENS_PER_PARAMETER} N tokens", "epochs"]]
    sizes += [
        [
            f"{size['ladder']} {size['size']}",
            number(size["n"]),
            number(size["tokens"]),
            _epochs(size["tokens"], train_tokens),
        ]
        for size in content["sizes"]
    ]
    lines = [*table(rows), "", *table(outcomes), "", *table(sizes), ""]
    if content["plan"]:
        lines.append(f"{content['plan']:,} tokens are {_epochs(content['plan'], train_tokens)} epochs of this data")
    if content["copies"]:
        lines.append(f"{content['copies']:,} of the training documents are tunes in another key")
    lines.append(
        f"{content['clusters']:,} clusters of near-duplicates, none in two splits; tokenizer {content['tokenizer']}, "
        f"vocabulary {content['vocab_size']:,}; {content['name']} ({content['fingerprint']})"
    )
    return "\n".join(lines)


def _label(name: str, content: dict[str, Any]) -> str:
    return f"longer than {content['context']:,}" if name == "longer_than_context" else name.replace("_", " ")


def _epochs(tokens: int, of: int) -> str:
    epochs = tokens / of
    return f"{epochs:.2f}" if epochs < 10 else f"{epochs:,.0f}"
