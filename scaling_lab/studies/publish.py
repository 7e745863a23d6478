"""What a study found, where its runs are: report and results as an artifact, and, where asked for, as a W&B Report.

`scaling-lab study` keeps the artifact; `scaling-lab report --project P --publish` makes the Report, with the package
wandb-workspaces, which is installed by `pip install 'scaling-lab[publish]'`.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scaling_lab.errors import RemoteError, UsageError
from scaling_lab.history.filters import REPORT_JOB
from scaling_lab.history.remote import Source, told_as_ours
from scaling_lab.laws import Interval
from scaling_lab.studies.analysis import COUNTS, StudyAnalysis
from scaling_lab.tracking import metrics

FINISH_SECONDS = 60.0


def keep_results(source: Source, sweep: str, files: Sequence[Path]) -> None:
    """Log the files as a version of the artifact `study-<sweep>`; files that it has already make no new one.

    Raises:
        RemoteError: if the server fails; the files are where they were.
    """
    import wandb

    with told_as_ours(source.place):
        # A run of its own, the same for every report of the sweep: an artifact is always some run's.
        run = wandb.init(
            entity=source.entity,
            project=source.project,
            id=f"report-{sweep}",
            name=f"report of {sweep}",
            job_type=REPORT_JOB,
            resume="allow",
            reinit="create_new",
            dir=str(files[0].parent.absolute()),
            settings=wandb.Settings(silent=True, console="off", finish_timeout=FINISH_SECONDS, x_disable_stats=True),
        )
        artifact = wandb.Artifact(f"study-{sweep}", type="study", description="The report and the results of a study.")
        for path in files:
            artifact.add_file(str(path), policy="immutable")
        run.log_artifact(artifact)
        run.finish()


def digest_of(files: Sequence[Path]) -> str:
    """Names the content of the files, so that what was kept is not kept again."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def publish_report(source: Source, analysis: StudyAnalysis, title: str) -> str:
    """Make a W&B Report of the study's runs in their project; its address.

    Raises:
        UsageError: if wandb-workspaces is not installed.
        RemoteError: if W&B refuses it.
    """
    workspaces = workspaces_package()
    names = ", ".join(repr(run.name) for run in analysis.runs)
    report = workspaces.Report(
        project=source.project,
        entity=source.entity,
        title=title,
        description=analysis.sentence,
        blocks=[
            workspaces.H1("The law"),
            workspaces.MarkdownBlock(_conclusion(analysis)),
            workspaces.H1("The runs"),
            workspaces.PanelGrid(
                runsets=[workspaces.Runset(source.entity, source.project, "study", filters=f"Name in [{names}]")],
                panels=_panels(workspaces),
            ),
        ],
    )
    with told_as_ours(source.place):
        try:
            report.save()
        except (ValueError, TypeError) as error:  # the package's own way to say that an answer was not what it expects
            raise RemoteError(f"{source.place}: the Report was not taken ({error}); the HTML report is made") from None
    return str(report.url)


def workspaces_package() -> Any:
    """The package that makes Reports. Raises UsageError, with how to install it, where it is absent."""
    try:
        import wandb_workspaces.reports.v2 as workspaces
    except ImportError:
        raise UsageError(
            "command line --publish: needs the package wandb-workspaces; pip install 'scaling-lab[publish]'"
        ) from None
    return workspaces


def _panels(workspaces: Any) -> list[Any]:
    tokens = metrics.TRAIN_TOKENS
    return [
        workspaces.LinePlot("Validation loss", x=tokens, y=[metrics.VAL_LOSS], log_x=True, log_y=True),
        workspaces.LinePlot("Training loss", x=tokens, y=[metrics.TRAIN_LOSS], log_y=True),
        workspaces.ScatterPlot(
            title="Loss against parameters",
            x=workspaces.Config("parameters.total"),
            y=workspaces.SummaryMetric(metrics.VAL_LOSS),
            log_x=True,
            log_y=True,
        ),
        workspaces.LinePlot("Gradient norm", x=tokens, y=[metrics.GRAD_NORM]),
        workspaces.LinePlot("Throughput", x=tokens, y=[metrics.TOKENS_PER_SECOND]),
    ]


def _conclusion(analysis: StudyAnalysis) -> str:
    lines = [analysis.conclusion, "", "| N | alpha | a | c | verdict |", "| --- | --- | --- | --- | --- |"]
    for count in COUNTS:
        law = analysis.laws[count]
        cells = [count.replace("_", "-"), *(_interval(part) for part in (law.alpha, law.a, law.c)), law.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"
