"""The options that say which runs of W&B, or of the local server, are read: shared by `report` and `history pull`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.history.remote import ReadingMode

MODES = ("auto", "online", "local")

Project = Annotated[str | None, typer.Option(metavar="NAME", help="Project of W&B, or of the local server.")]
Entity = Annotated[str | None, typer.Option(metavar="NAME", help="W&B team or user; absent, the key's own.")]
Sweep = Annotated[str | None, typer.Option(metavar="ID", help="Only runs of this sweep.")]
Group = Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this W&B group.")]
Filter = Annotated[
    list[str],
    typer.Option(
        "--filter",
        metavar="KEY=VALUE",
        help="Only runs with this value in their config (size=tiny), or of W&B's own fields (state=finished). "
        "Repeatable; of one key given twice either value will do.",
    ),
]
Tracking = Annotated[
    str,
    typer.Option(
        metavar="|".join(MODES), help="Where to read: auto is W&B with an API key at hand, else the local server."
    ),
]
Store = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The local server's store. Absent: outputs/local-wandb.")
]


def reading_mode(tracking: str) -> "ReadingMode":
    """`--tracking` of a command that reads. Raises UsageError where nothing could be read that way."""
    for mode in MODES:
        if tracking == mode:
            return mode  # type: ignore[return-value] - one of MODES
    raise UsageError(f"command line --tracking: {tracking!r} is nowhere to read from; give one of {', '.join(MODES)}")


def equal_values(filters: Sequence[str]) -> dict[str, list[Any]]:
    """Values of repeated `--filter KEY=VALUE`, by key, read as YAML reads them. Raises UsageError."""
    from scaling_lab.config.yaml_reader import parse_value

    wanted: dict[str, list[Any]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"command line --filter: {text!r} is not KEY=VALUE; write it as size=tiny")
        wanted.setdefault(key.strip(), []).append(parse_value(value, f"command line --filter {key}"))
    return wanted
