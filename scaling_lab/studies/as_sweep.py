"""A study as a W&B sweep: one trial for each size and seed, and the same sweep again when the study goes on.

The sweep's parameters are size and seed alone. All else that its runs share is in `outputs/scaling_study/config.yaml`,
which the sweep's command names: any agent on this machine, started in the same folder, can run its trials. Which sweep
it is stands in study.json beside it.
"""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scaling_lab.config.dump import dump_common
from scaling_lab.config.identity import run_identity
from scaling_lab.files import written_whole
from scaling_lab.history.cache import Cache
from scaling_lab.history.filters import RunFilters
from scaling_lab.history.pull import pull_listed
from scaling_lab.history.remote import list_runs
from scaling_lab.history.runs import LeftOut, RunRecord, read_run
from scaling_lab.studies.plan import StudyPlan, is_complete
from scaling_lab.studies.sweep_command import ARGUMENTS
from scaling_lab.studies.sweep_status import sweep_status
from scaling_lab.studies.sweeps import OPEN_STATES, Server, SweepPath
from scaling_lab.tracking import metrics
from scaling_lab.tracking.results import CONFIG_NAME, write_json

STUDY_NAME = "study.json"

Say = Callable[[str], None]
Records = tuple[list[RunRecord], list[LeftOut]]


def find_or_create(plan: StudyPlan, server: Server, say: Say) -> SweepPath:
    """The study's sweep: the one of last time where it is still open and its plan is the same, else a new one.

    Raises:
        RemoteError: if the server fails.
    """
    write_config(plan)
    kept = _read(plan.folder / STUDY_NAME)
    if kept:
        sweep = _gone_on(kept, plan, server, say)
        if sweep:
            return sweep
    return create(plan, server, say)


def renewed(plan: StudyPlan, server: Server, sweep: SweepPath, say: Say) -> SweepPath | None:
    """A new sweep where the trials of the old one are used up; None where somebody stopped it.

    A trial that failed is not handed out again, though its cause may be gone since.
    """
    found = sweep_status(server.source(sweep), sweep)
    if found["state"] == "canceled" or any(trial["state"] in ("waiting", "given up") for trial in found["trials"]):
        say(f"sweep {sweep} was stopped; the same command goes on with a new one")
        return None
    say(f"sweep {sweep} hands out nothing more, and runs are not complete; a new one takes its place")
    return create(plan, server, say)


def create(plan: StudyPlan, server: Server, say: Say) -> SweepPath:
    """A new sweep for the study, which it remembers. Raises RemoteError."""
    tracking = plan.configs[0].tracking
    sweep = server.create(sweep_content(plan), tracking.project, tracking.entity)
    content = {"sweep": str(sweep), "server": server.name, "plan": _digest(plan)}
    write_json(plan.folder / STUDY_NAME, content)
    say(f"sweep {sweep}: {len(plan.configs)} trials, {server.address(sweep)}")
    return sweep


def pulled(plan: StudyPlan, server: Server, sweep: SweepPath, say: Say) -> Records:
    """The study's runs as the server has them; what it has not whole is read from the run's folder, and said aloud.

    Raises:
        RemoteError: if the server fails.
    """
    source = server.source(sweep)
    runs = list_runs(source, RunFilters(sweep=sweep.id))
    records, left_out = pull_listed(source, runs, Cache(source), lambda status: None)
    whole = {record.name for record in records if record.state == "complete"}
    lacking = [run for run in plan.configs if run.run_name not in whole and is_complete(run, plan.dataset)]
    if lacking:
        names = [config.run_name for config in lacking]
        folders = "its folder" if len(names) == 1 else "their folders"
        say(f"the server lacks rows of {', '.join(names)}; read from {folders}")
        records = [record for record in records if record.name not in names]
        left_out = [left for left in left_out if left.name not in names]
        records += [read_run(config.run_dir) for config in lacking]
    return records, left_out


def sweep_content(plan: StudyPlan) -> dict[str, Any]:
    """The sweep as W&B is told: a grid of sizes and seeds, the longest runs first."""
    config_path = plan.folder / CONFIG_NAME
    return {
        "name": plan.folder.name,
        "program": "scaling_lab",
        "method": "grid",
        "metric": {"name": metrics.VAL_LOSS, "goal": "minimize"},
        "parameters": {
            "size": {"values": list(dict.fromkeys(config.size for config in plan.configs))},
            "seed": {"values": sorted({config.seed for config in plan.configs})},
        },
        # The interpreter by its path: `${interpreter}` is whatever python an agent finds.
        "command": ["${env}", sys.executable, "-m", "scaling_lab", "train", f"--config={config_path}", ARGUMENTS],
    }


def _gone_on(kept: dict[str, Any], plan: StudyPlan, server: Server, say: Say) -> SweepPath | None:
    """The kept sweep if it can be gone on with; else why not, said aloud."""
    before = SweepPath(*str(kept["sweep"]).split("/"))
    if kept.get("server") != server.name:
        say(f"sweep {before} is on another server ({kept.get('server')}); a new one takes its place")
        return None
    if kept.get("plan") != _digest(plan):
        say(f"sweep {before} was of other runs, settings or data; a new one takes its place")
        return None
    state = server.state(before)
    if state not in OPEN_STATES:
        found = state.lower() if state else "gone"
        say(f"sweep {before} is {found}, and runs are not complete; a new one takes its place")
        return None
    if state == "PAUSED":
        server.change(before, "resume")
    say(f"sweep {before} goes on: {server.address(before)}")
    return before


def write_config(plan: StudyPlan) -> None:
    """Write what the runs share, for every agent to read."""
    # Trials are told by their environment which server to use, and its key.
    tracked = [
        config.model_copy(update={"tracking": config.tracking.model_copy(update={"mode": "online"})})
        for config in plan.configs
    ]
    plan.folder.mkdir(parents=True, exist_ok=True)
    with written_whole(plan.folder / CONFIG_NAME) as stream:
        stream.write(dump_common(tracked).encode())


def _digest(plan: StudyPlan) -> str:
    """Names the plan: what its runs are and where they are kept."""
    runs = [
        [str(config.run_dir), run_identity(config, plan.dataset.fingerprint, config.machine.precision)]
        for config in plan.configs
    ]
    return hashlib.sha256(json.dumps(runs, sort_keys=True).encode()).hexdigest()[:16]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
        return content if len(str(content["sweep"]).split("/")) == 3 else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
