"""Stop, pause, resume or cancel a sweep, after a look at it: what its state doesn't allow is said in plain words.

The SDK's own command ends such a change with an exception, and resumes what has no trial left without a word.
"""

from typing import Any

from scaling_lab.errors import UsageError
from scaling_lab.history.remote import require_sweep
from scaling_lab.studies.sweep_status import sweep_status
from scaling_lab.studies.sweeps import Server, SweepPath

_OVER = {"FINISHED": "finished", "CANCELED": "cancelled"}
# Trials that no server hands out again.
_ENDED = ("finished", "failed", "killed")


def change_sweep(server: Server, path: SweepPath, change: str) -> str:
    """Change a sweep's state, and say which it has now.

    Raises:
        UsageError: if there is no such sweep, or its state doesn't allow the change.
        RemoteError: if the server fails.
    """
    source = server.source(path)
    before = str(require_sweep(source, path.id).state).upper()
    told = ""
    if before in _OVER:
        trials = sweep_status(source, path)["trials"]
        n_left = sum(trial["state"] not in _ENDED for trial in trials)
        if change != "resume":
            raise UsageError(f"sweep {path}: is {_OVER[before]} already; {_instead(path, change, trials, n_left)}")
        if not n_left:
            raise UsageError(
                f"sweep {path}: is {_OVER[before]}, and no trial is left to hand out; make another with "
                "`scaling-lab sweep create`"
            )
        told = f"; it was {_OVER[before]}, and goes on with {_unfinished(n_left)}: wandb agent {path}"
    elif change == "pause" and before == "PENDING":
        raise UsageError(
            f"sweep {path}: is pending, and only one that runs can be paused; no agent has asked it for a trial yet, "
            f"and `scaling-lab sweep stop {path}` keeps it from handing out any"
        )
    server.change(path, change)
    return f"sweep {path}: {(server.state(path) or 'gone').lower()}{told}"


def _instead(path: SweepPath, change: str, trials: list[dict[str, Any]], n_left: int) -> str:
    """What to do about a sweep that hands out nothing more."""
    resume = f"`scaling-lab sweep resume {path}`"
    if change == "cancel" and any(trial["state"] == "running" for trial in trials):
        return f"{resume} first, and cancel then stops what still runs"
    if n_left:
        return f"{resume} goes on with {_unfinished(n_left)}"
    return f"`scaling-lab sweep status {path}` shows its trials"


def _unfinished(n_trials: int) -> str:
    return "its unfinished trial" if n_trials == 1 else f"its {n_trials:,} unfinished trials"
