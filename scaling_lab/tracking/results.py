"""What a run says of itself on disk: the files' names, and reading and writing them whole.

config.yaml            the resolved RunConfig
metrics.jsonl          the journal, one row a step
metrics.json           the same, by column, for plotting
training_results.json  identity, state, and the figures that matter
best_model.pt          weights with the lowest validation loss, and what builds the model they belong to
best_model.safetensors the same for other programs: facts are in its metadata
last_error.json        how the last command ended, where it was an error
.lock                  held by the process that trains the run
"""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from scaling_lab.errors import CheckpointError, ScalingLabError
from scaling_lab.files import written_whole

CONFIG_NAME = "config.yaml"
METRICS_NAME = "metrics.json"
RESULTS_NAME = "training_results.json"
BEST_MODEL_NAME = "best_model.pt"
BEST_WEIGHTS_NAME = "best_model.safetensors"
LAST_ERROR_NAME = "last_error.json"
LOCK_NAME = ".lock"
# What helps where nothing else does: the same command alone would take the run for what it was.
TRAIN_ANEW = "remove the run's folder to train it again"
# Of a study, in a folder of its own; names the folders of its runs.
STUDY_RESULTS_NAME = "scaling_study_results.json"

RunState = Literal["running", "complete", "stopped", "diverged", "failed"]


def read_results(run_dir: Path) -> dict[str, Any] | None:
    """training_results.json of a run's folder, or None where there is none.

    Raises:
        CheckpointError: if it is there and can't be read.
    """
    path = run_dir / RESULTS_NAME
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise CheckpointError(f"{run_dir}: can't be a run's folder, a file is in its place; move that away") from None
    except (OSError, ValueError) as error:  # a folder of that name, say, or a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: can't be read ({reason}); put the run's own there, or {TRAIN_ANEW}") from None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error}); {TRAIN_ANEW}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: not a run's results; {TRAIN_ANEW}")
    return content


@contextlib.contextmanager
def error_kept(run_dir: Path) -> Iterator[None]:
    """Keep in a run's folder what ends the body, if it is an error: whoever started the run may not see its words."""
    path = run_dir / LAST_ERROR_NAME
    with contextlib.suppress(OSError):  # of a folder that is none, or nobody's to write: the body says more
        path.unlink(missing_ok=True)
    try:
        yield
    except Exception as error:
        exit_code = error.exit_code if isinstance(error, ScalingLabError) else ScalingLabError.exit_code
        message = str(error) if isinstance(error, ScalingLabError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            run_dir.mkdir(parents=True, exist_ok=True)
            write_json(path, {"exit_code": exit_code, "message": message})
        raise


def read_error(run_dir: Path) -> tuple[int, str] | None:
    """Exit code and words of a run's last command, if it ended by an error."""
    try:
        content = json.loads((run_dir / LAST_ERROR_NAME).read_bytes())
        return int(content["exit_code"]), str(content["message"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def write_json(path: Path, content: Any) -> None:
    """Write JSON as a whole file or not at all."""
    write_whole(path, json.dumps(content, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a text file as a whole or not at all, safe from a power cut when this returns."""
    with written_whole(path) as stream:
        stream.write(text.encode())
