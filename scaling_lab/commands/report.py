"""`scaling-lab report --results-dir outputs/scaling_study`: read runs, fit the law, write one HTML file."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def report(
    results_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="A study's folder, or any folder with runs in it.")
    ] = Path("outputs/scaling_study"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write; absent, report.html in that folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the study's results as pure JSON.")] = False,
) -> None:
    """Draw the report of a study from the runs' own journals; nothing is trained, no server is asked."""
    from scaling_lab.history.runs import read_runs
    from scaling_lab.report import build_report
    from scaling_lab.studies.analysis import analyse, study_results

    analysis = analyse(*read_runs(results_dir))
    path = build_report(analysis, out or results_dir / "report.html")
    if as_json:
        typer.echo(json.dumps(study_results(analysis), indent=2))
    else:
        typer.echo(f"{analysis.conclusion}\nreport: {path}")
