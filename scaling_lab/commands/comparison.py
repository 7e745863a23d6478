"""`scaling-lab report --compare A B`: several studies on one plot, and whether their exponents differ.

    scaling-lab report --compare lstm=runs/lstm transformer=runs/transformer --out comparison.html

Each is a study's folder, or any folder with runs in it; nothing is pulled, and nothing is trained.
"""

import json
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import typer

from scaling_lab.commands.output_paths import require_file, written_to
from scaling_lab.errors import UsageError

DEFAULT_PAGE = Path("outputs/comparison.html")
FEWEST, MOST = 2, 8
# What else may be typed beside --compare.
_SHARED_OPTIONS = ("studies", "compare", "out", "as_json")


def compare_studies(
    context: typer.Context, studies: Sequence[str], wanted: bool, out: Path | None, as_json: bool
) -> None:
    """The body of `report --compare`. `wanted`: whether --compare was given, and not only folders.

    Raises:
        UsageError: for what can't be compared, before anything is read; or a folder without a run.
    """
    if not wanted:
        raise UsageError(
            f"command line: {' '.join(studies)}: to compare studies give --compare too; one study is --results-dir DIR"
        )
    _require_alone(context)
    folders = labelled_folders(studies)
    out = out or DEFAULT_PAGE
    require_file(out)
    from scaling_lab.history.runs import read_runs
    from scaling_lab.report import build_comparison
    from scaling_lab.studies.analysis import analyse
    from scaling_lab.studies.comparison import Comparison, LabelledStudy, comparison_results

    comparison = Comparison(
        tuple(LabelledStudy(label, folder, analyse(*read_runs(folder))) for label, folder in folders.items())
    )
    with written_to(out):
        path = build_comparison(comparison, out, _command(studies, out))
    if as_json:
        typer.echo(json.dumps(comparison_results(comparison), indent=2))
    else:
        told = (comparison.conclusion, comparison.hinges(), *comparison.warnings(), f"comparison: {path}")
        typer.echo("\n".join(filter(None, told)))


def labelled_folders(arguments: Sequence[str]) -> dict[str, Path]:
    """Folders by label, in order. A label is what stands before `=`, else the folder's name, with as many of the
    folders above it as tell it from the others.

    Raises UsageError for too few or too many, one folder twice, one label twice, and what is no folder.
    """
    if not FEWEST <= len(arguments) <= MOST:
        raise UsageError(
            f"command line --compare: compares {FEWEST} to {MOST} studies, and here {_are(len(arguments))}; give their "
            "folders, as in --compare outputs/scaling_study other/outputs/scaling_study"
        )
    named = [_label_and_folder(argument) for argument in arguments]
    _require_different([folder for _, folder in named])
    short = _short_names([folder for label, folder in named if not label])
    labels = [label or short[folder] for label, folder in named]
    twice = [label for label, number in Counter(labels).items() if number > 1]
    if twice:
        raise UsageError(f"command line --compare: two studies are called {twice[0]!r}; give another name as LABEL=DIR")
    return {label: folder for label, (_, folder) in zip(labels, named, strict=True)}


def _label_and_folder(argument: str) -> tuple[str, Path]:
    """A folder whose own name has a `=` in it is a folder still."""
    label, equals, folder = argument.partition("=")
    if not equals or Path(argument).is_dir():
        label, folder = "", argument
    elif not label.strip() or not folder:
        raise UsageError(f"command line --compare: {argument!r} is not LABEL=DIR; write it as lstm=runs/lstm")
    if not folder or not Path(folder).is_dir():
        raise UsageError(
            f"{folder or argument}: no such folder; give one that holds runs, such as outputs/scaling_study"
        )
    return label.strip(), Path(folder)


def _require_different(folders: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for folder in folders:
        first = seen.setdefault(folder.resolve(), folder)
        if first is not folder:
            raise UsageError(f"command line --compare: {first} and {folder} are one folder; give each study once")


def _short_names(folders: Sequence[Path]) -> dict[Path, str]:
    """The end of each path, as short as tells it from all others."""
    parts = {folder: folder.resolve().parts for folder in folders}

    def end(folder: Path, length: int) -> str:
        return "/".join(parts[folder][-length:]) or str(folder.resolve())

    def shortest(folder: Path) -> str:
        others = [other for other in folders if other is not folder]
        lengths = range(1, len(parts[folder]) + 1)
        return next(
            (end(folder, length) for length in lengths if end(folder, length) not in {end(o, length) for o in others}),
            str(folder.resolve()),
        )

    return {folder: shortest(folder) for folder in folders}


def _require_alone(context: typer.Context) -> None:
    """Refuse every option that says which runs of one study are read, or what becomes of its report."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        # By name: Typer brings a Click of its own, or takes the one that is installed.
        if source and source.name == "COMMANDLINE" and parameter.name not in _SHARED_OPTIONS:
            raise UsageError(
                f"command line {parameter.opts[0]}: is of one study's report, and --compare reads folders; leave it "
                "out, or report on each study alone"
            )


def _are(number: int) -> str:
    return {0: "is none", 1: "is one"}.get(number, f"are {number}")


def _command(studies: Sequence[str], out: Path) -> str:
    return shlex.join(["scaling-lab", "report", "--compare", *studies, "--out", str(out)])
