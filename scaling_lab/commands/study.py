"""`scaling-lab study --ladder mini`: train the five sizes, fit the law, write the report."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from scaling_lab.commands.output_paths import require_folder, require_own_file
from scaling_lab.commands.run_options import RunOptions, takes_study_options
from scaling_lab.config import SIZES, Override, RunConfig
from scaling_lab.errors import RemoteError, UsageError
from scaling_lab.files import not_written
from scaling_lab.sampling import FREE_TUNES

if TYPE_CHECKING:
    from scaling_lab.studies.as_sweep import Records
    from scaling_lab.studies.plan import StudyPlan
    from scaling_lab.studies.status import RunStatus
    from scaling_lab.studies.sweeps import Server, SweepPath

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@takes_study_options
def study(
    options: RunOptions,
    seeds: Annotated[str, typer.Option(metavar="0,1,2", help="One run of each size for each of these seeds.")] = "0",
    sizes: Annotated[
        str, typer.Option(metavar="tiny,small,…", help="Which sizes; fewer than four give no law.")
    ] = ",".join(SIZES),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Runs at a time. Absent: one a core, or one on a GPU.")
    ] = None,
    folder: Annotated[
        str, typer.Option(metavar="NAME", help="The study's own folder, under the output folder.")
    ] = "scaling_study",
    tunes: Annotated[
        int, typer.Option(min=0, max=10_000, metavar="N", help="Tunes that each size writes for the report.")
    ] = FREE_TUNES,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would cost, and train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the study's results as pure JSON.")] = False,
) -> None:
    """Train every size (and seed), fit the law, let each size write tunes, and write the report.

    Interrupted, the same command goes on; what is complete is never trained again.
    """
    from scaling_lab.data.configured import open_configured
    from scaling_lab.studies.plan import plan_study

    configs = _configs(options, _listed(sizes, "--sizes"), _listed(seeds, "--seeds"))
    if Path(folder).name != folder or folder in ("", ".", "..") or not folder.isprintable():
        raise UsageError(f"command line --folder: {folder!r} is not a plain name; give one such as scaling_study")
    dataset = open_configured(configs[0].data)
    plan = plan_study(configs[0].output_dir / folder, configs, dataset, jobs)
    if dry_run:
        typer.echo(_plan_text(plan))
        return
    _run(plan, tunes, as_json)


def _run(plan: "StudyPlan", tunes: int, as_json: bool) -> None:
    from scaling_lab.commands.scores import try_scores
    from scaling_lab.commands.study_music import try_study_music
    from scaling_lab.history.runs import read_runs
    from scaling_lab.report import build_report
    from scaling_lab.studies.analysis import analyse
    from scaling_lab.studies.results import name_runs, write_study_results
    from scaling_lab.studies.run import require_all_complete
    from scaling_lab.tracking.results import STUDY_RESULTS_NAME

    _require_places(plan)
    try:
        name_runs(plan)
    except OSError as error:
        raise not_written(plan.folder, error, "give another place with --output-dir") from None
    with _server_for(plan) as server:
        trained = _trained(plan, server)
        analysis = analyse(*(trained.records or read_runs(plan.folder)))
        content = write_study_results(plan, analysis)
        scores = try_scores(plan.folder, analysis)
        outputs = plan.configs[0].output_dir
        if tunes:
            try_study_music(analysis.runs, outputs, tunes)
        report = build_report(analysis, plan.folder / "report.html", scores, outputs)
        typer.echo(json.dumps(content, indent=2) if as_json else f"{analysis.conclusion}\nreport: {report}")
        sys.stdout.flush()
        if server is not None and trained.sweep is not None:
            _keep(server, trained.sweep, [report, plan.folder / STUDY_RESULTS_NAME])
    if trained.failure is not None:
        raise trained.failure
    require_all_complete(trained.statuses)


def _require_places(plan: "StudyPlan") -> None:
    """Refuse what the study could not be written to, before it trains for hours. Raises UsageError."""
    from scaling_lab.studies.as_sweep import STUDY_NAME
    from scaling_lab.tracking.results import CONFIG_NAME, STUDY_RESULTS_NAME

    # The folder of a run that was begun is looked at as that goes on; of one that is complete, it may be read-only.
    new = [config.run_dir for config in plan.configs if not config.run_dir.is_dir()]
    for folder in (plan.folder, plan.folder / "configs", plan.folder / "logs", *new):
        require_folder(folder, "--output-dir")
    for name in (STUDY_RESULTS_NAME, "report.html", STUDY_NAME, CONFIG_NAME):
        require_own_file(plan.folder / name)


class _Trained(NamedTuple):
    """How every run ended; their records as a server gave them, None where folders have them; and their sweep.

    `failure`: what kept the server from doing its part.
    """

    statuses: "list[RunStatus]"
    records: "Records | None" = None
    sweep: "SweepPath | None" = None
    failure: RemoteError | None = None


@contextmanager
def _server_for(plan: "StudyPlan") -> "Iterator[Server | None]":
    """The server of a study's sweep, to its very end; None where nothing is left to train, or nobody tracks it."""
    from scaling_lab.studies.sweeps import wandb_server
    from scaling_lab.tracking.wandb_run import resolve_mode

    tracking = plan.configs[0].tracking
    mode = resolve_mode(tracking.mode)
    if (mode == "online" or mode == "local") and plan.unfinished():
        with wandb_server(mode, plan.configs[0].tracking_store) as server:
            yield server
    else:
        yield None


def _trained(plan: "StudyPlan", server: "Server | None") -> _Trained:
    from scaling_lab.studies.status import first_look

    if not plan.unfinished():
        return _Trained(first_look(plan))
    return _Trained(_as_processes(plan)) if server is None else _as_sweep(plan, server)


def _as_processes(plan: "StudyPlan") -> "list[RunStatus]":
    from scaling_lab.commands.progress import StudyProgress
    from scaling_lab.studies.processes import Processes
    from scaling_lab.studies.run import run_study

    with StudyProgress() as progress:
        return run_study(plan, Processes(plan), progress.watch)


def _as_sweep(plan: "StudyPlan", server: "Server") -> _Trained:
    """The study as a W&B sweep, trained by agents, read back from the server."""
    from scaling_lab.commands.progress import StudyProgress
    from scaling_lab.studies.agents import Agents
    from scaling_lab.studies.as_sweep import find_or_create, pulled, renewed
    from scaling_lab.studies.run import run_study
    from scaling_lab.studies.status import first_look

    sweep = find_or_create(plan, server, _say)
    agents = Agents(plan, sweep, lambda used_up: renewed(plan, server, used_up, _say), _say)
    try:
        with StudyProgress() as progress:
            statuses = run_study(plan, agents, progress.watch)
        return _Trained(statuses, pulled(plan, server, agents.sweep, _say), agents.sweep)
    except RemoteError as error:
        # What is trained is in the runs' folders, and that is all a report needs.
        if not plan.unfinished():
            _say(f"read from the runs' folders, for the server did not answer: {error}")
            return _Trained(first_look(plan))
        failure = RemoteError(f"{error}\nstudy: the same command goes on; with --tracking disabled it needs no server")
        return _Trained(first_look(plan), failure=failure)


def _keep(server: "Server", sweep: "SweepPath", files: list[Path]) -> None:
    """Log report and results beside the runs; a server that fails now takes nothing from what was found."""
    from scaling_lab.studies.publish import keep_results

    try:
        keep_results(server.source(sweep), sweep.id, files)
    except RemoteError as error:
        _say(f"report and results were not kept on the server: {error}")


def _say(words: str) -> None:
    print(f"study: {words}", file=sys.stderr, flush=True)


def _configs(options: RunOptions, sizes: list[str], seeds: list[str]) -> list[RunConfig]:
    return [
        options.resolve(
            Override("size", size, "command line --sizes"), Override("seed", seed, "command line --seeds")
        ).config
        for size in sizes
        for seed in seeds
    ]


def _listed(text: str, option: str) -> list[str]:
    """A comma-separated option as its parts, each different."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or len(set(parts)) != len(parts):
        raise UsageError(f"command line {option}: {text!r} is not a list of different values; write them as a,b,c")
    return parts


def _plan_text(plan: "StudyPlan") -> str:
    """Every run with what it costs, and which are done."""
    from scaling_lab.training.plan import plan_run

    unfinished = {config.run_name for config in plan.unfinished()}
    lines = [f"{'run':<24} {'parameters':>14} {'steps':>8} {'tokens':>14} {'FLOPs':>10}  state"]
    notes: dict[str, None] = {}
    for config in plan.configs:
        run = plan_run(config, plan.dataset)
        state = "to train" if config.run_name in unfinished else "complete"
        lines.append(
            f"{config.run_name:<24} {run.parameters.total:>14,} {run.n_steps:>8,} {run.tokens:>14,} "
            f"{run.total_flops:>10.3g}  {state}"
        )
        notes |= dict.fromkeys(run.notes())
    return "\n".join([*lines, f"{plan.jobs} at a time; results in {plan.folder}", *(f"note: {note}" for note in notes)])
