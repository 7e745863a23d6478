"""`--format` and `--out` of `report`: which files a report is written to."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_lab.commands.output_paths import require_file, require_folder
from scaling_lab.errors import UsageError

if TYPE_CHECKING:
    from scaling_lab.report.exports import Targets

TEXT_FORMATS = ("html", "json", "csv", "md")
IMAGE_FORMATS = ("png", "svg")
FORMATS = (*TEXT_FORMATS, *IMAGE_FORMATS)

Formats = Annotated[
    list[str],
    typer.Option(
        "--format",
        metavar="|".join(FORMATS),
        help="Repeatable, or several with commas between; absent, what --out ends with, or html. json: every number; "
        "csv: a row a run; png, svg: a file a figure, in a folder beside the report, drawn by Chrome or Chromium with "
        "scaling-lab[figures].",
    ),
]


def chosen_formats(given: Sequence[str], out: Path | None) -> list[str]:
    """The formats of repeated and comma-separated `--format`, each once; without it the one that `out` ends with.

    Raises UsageError for one that there is not.
    """
    names = [name.strip() for text in given for name in text.split(",") if name.strip()]
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"command line --format: {name!r} is none of {', '.join(FORMATS)}")
    ending = out.suffix[1:] if out else ""
    return list(dict.fromkeys(names)) or [ending if ending in TEXT_FORMATS else "html"]


def targets_of(names: Sequence[str], out: Path | None, usual: Path) -> "Targets":
    """`out` is the HTML, or the only file that is asked for; all else lies beside it, or beside `usual`, by its name.

    Raises:
        UsageError: if two formats would be one file, or `out` has no name.
    """
    from scaling_lab.report.exports import Targets

    texts = [name for name in names if name in TEXT_FORMATS]
    named = "html" if "html" in texts else texts[0] if out and len(texts) == 1 else None
    page = usual if out is None else out
    if not page.name:
        raise UsageError(f"command line --out: {page} is a folder; give a file, {page / 'report.html'} say")
    files = {name: page if name == named else page.with_suffix(f".{name}") for name in texts}
    for name, path in files.items():
        if name != named and named and path == page:
            raise UsageError(f"command line --out: {out} would be both {named} and {name}; give it another name")
    return Targets(files, [name for name in names if name in IMAGE_FORMATS], page.with_name(f"{page.stem}-figures"))


def require_writable(targets: "Targets") -> None:
    """Refuse what can't be written, and figures alone that can't be drawn, before work is done. Raises UsageError."""
    for path in targets.files.values():
        require_file(path)
    if targets.image_formats:
        require_folder(targets.figures)
    if not targets.files:
        from scaling_lab.report.images import find_painter

        find_painter()
