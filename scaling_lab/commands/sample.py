"""`scaling-lab sample --run RUN`: a trained run's best model writes tunes, as ABC and MIDI, and they are measured.

With `--results-dir` one run of each size of a study writes for the study's report instead.
"""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.commands.tables import number, table
from scaling_lab.errors import UsageError
from scaling_lab.sampling import FREE_TUNES

if TYPE_CHECKING:
    from scaling_lab.sampling.tunes import SampledTune

app = typer.Typer(add_completion=False, rich_markup_mode=None)

N_TUNES = 8
# What is the same for every size of a study, and so not asked.
OF_ONE_RUN = ("temperature", "top-p", "prompt", "max-tokens", "seed", "out")


@app.command()
def sample(
    context: typer.Context,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="A run's folder, or its name in outputs/.")
    ] = None,
    results_dir: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="A study's folder: each of its sizes writes for its report, by one recipe."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n",
            min=1,
            max=10_000,
            metavar="N",
            help=f"How many tunes. Absent: {N_TUNES}; of a study, {FREE_TUNES} a size.",
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(min=0, max=100, metavar="T", help="Above 1 bolder, below 1 safer; 0 takes the likeliest token."),
    ] = 1.0,
    top_p: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="P", help="Draw only from the likeliest tokens that together hold P."),
    ] = 0.95,
    prompt: Annotated[
        str, typer.Option(metavar="ABC", help=r'What each tune begins with, \n for the end of a line: "M:6/8\nK:G\n".')
    ] = "",
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Most tokens of a tune after the prompt. Absent: the run's context."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="With its number, what fixes a tune.")] = 0,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where to write; absent, samples in the run's folder.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the run's data are now, if they were moved.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as pure JSON.")] = False,
) -> None:
    """Let the best model of a trained run write tunes, each an ABC file and a MIDI file, and measure them.

    The same seed gives the same tunes, and replaces the files that it wrote before.
    """
    if (run is None) == (results_dir is None):
        raise UsageError("command line: give --run with a run, or --results-dir with a study's folder")
    if results_dir is not None:
        _require_none(context, OF_ONE_RUN)
        _write_for_report(results_dir, n, data_dir, as_json)
        return
    from scaling_lab.commands.progress import SamplingProgress
    from scaling_lab.sampling.listening import listen
    from scaling_lab.sampling.trained_run import find_run, load_trained_run
    from scaling_lab.sampling.tunes import sample_tunes, write_tunes

    assert run is not None
    trained = load_trained_run(find_run(run), data_dir)
    n = n or N_TUNES
    with SamplingProgress(trained.folder.name, n) as progress:
        tunes = sample_tunes(
            trained,
            n,
            temperature=temperature,
            top_p=top_p,
            # A shell hands on a backslash and an n; in ABC they never stand together.
            prompt=prompt.replace("\\n", "\n"),
            max_tokens=max_tokens,
            seed=seed,
            watch=progress.watch,
        )
    folder = out or trained.folder / "samples"
    paths = write_tunes(tunes, folder)
    measures = listen(trained, [tune.text for tune in tunes])
    content = {
        "run": str(trained.folder),
        "size": trained.config.size,
        "seed": seed,
        "temperature": temperature,
        "top_p": top_p,
        "folder": str(folder),
        "measures": asdict(measures),
        "samples": [_row(path, tune) for path, tune in zip(paths, tunes, strict=True)],
    }
    typer.echo(json.dumps(content, indent=2) if as_json else _as_text(content))


def _require_none(context: typer.Context, options: Sequence[str]) -> None:
    """Raises UsageError where an option was given that a study's tunes don't take: they are alike for every size."""
    for option in options:
        source = context.get_parameter_source(option.replace("-", "_"))
        if source is not None and source.name != "DEFAULT":
            raise UsageError(f"command line --{option}: says how one run writes; give --run, or leave it out")


def _write_for_report(results_dir: Path, n: int | None, data_dir: Path | None, as_json: bool) -> None:
    from scaling_lab.commands.study_music import write_study_music
    from scaling_lab.history.runs import read_runs
    from scaling_lab.sampling.trained_run import OUTPUTS
    from scaling_lab.studies.analysis import analyse

    runs = analyse(*read_runs(results_dir)).runs
    if not runs:
        raise UsageError(f"{results_dir}: has no complete run that could write; train some with `scaling-lab study`")
    written = write_study_music(runs, OUTPUTS, n or FREE_TUNES, data_dir)
    if as_json:
        typer.echo(json.dumps({"files": [os.path.normpath(path) for path in written]}, indent=2))
        return
    for path in written:
        typer.echo(os.path.normpath(path))
    report = f"scaling-lab report --results-dir {shlex.quote(str(results_dir))}"
    typer.echo(f"{report} shows them" if written else f"every size has written as much already; {report} shows it")


def _row(path: Path, tune: "SampledTune") -> dict[str, Any]:
    return {"file": path.name, "characters": len(tune.text), "notes": tune.n_notes, "ended": tune.ended}


def _as_text(content: dict[str, Any]) -> str:
    """A line for each tune, the measures of all beside those of held-out tunes, then where the files are."""
    tunes = [["file", "characters", "notes", "ended by itself"]]
    tunes += [
        [row["file"], number(row["characters"]), number(row["notes"]), "yes" if row["ended"] else "no"]
        for row in content["samples"]
    ]
    columns = content["measures"]
    measures = [["", *(name.replace("_", " ") for name in columns)]]
    measures += [
        [name.replace("_", " "), *(_value(column[name]) for column in columns.values())] for name in columns["samples"]
    ]
    return "\n".join([*table(tunes), "", *table(measures), "", f"samples: {content['folder']}"])


def _value(measured: float | None) -> str:
    if isinstance(measured, float):
        return f"{measured:.3f}" if measured < 10 else f"{measured:,.0f}"
    return number(measured)
