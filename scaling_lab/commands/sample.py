"""`scaling-lab sample --run RUN`: a trained run's best model writes tunes, as ABC and MIDI, and they are measured."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scaling_lab.commands.tables import number, table

if TYPE_CHECKING:
    from scaling_lab.sampling.tunes import SampledTune

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def sample(
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="A run's folder, or its name in outputs/.")],
    n: Annotated[int, typer.Option("-n", min=1, max=10_000, metavar="N", help="How many tunes.")] = 8,
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
    from scaling_lab.commands.progress import SamplingProgress
    from scaling_lab.sampling.listening import listen
    from scaling_lab.sampling.trained_run import find_run, load_trained_run
    from scaling_lab.sampling.tunes import sample_tunes, write_tunes

    trained = load_trained_run(find_run(run), data_dir)
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
