"""Checkpoints: everything a run needs to go on as if nothing had happened.

`checkpoints/step-N/` holds `state.pt` and `manifest.json` with its sha256. Both are written in a folder aside, which is
then renamed: a folder with a final name is whole. The two newest are kept, so that a damaged one has a predecessor.
Files are read with `weights_only=True`: a checkpoint can't run code.
"""

import json
import os
import pickle
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors import torch as safetensors_torch

from scaling_lab.errors import CheckpointError
from scaling_lab.files import sha256_of, written_whole

KEPT = 2


def save_checkpoint(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write `state` as the checkpoint of `step`, then let the oldest ones go.

    Raises:
        OSError: if the disk doesn't take it; the checkpoints before it are as they were.
    """
    final = folder / f"step-{step}"
    aside = folder / f"step-{step}.partial"
    for left in folder.glob("*.partial"):  # by a process that was killed, or a disk that was full
        shutil.rmtree(left, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        save_tensors(aside / "state.pt", state)
        manifest = {"step": step, "sha256": {"state.pt": sha256_of(aside / "state.pt")}}
        with written_whole(aside / "manifest.json") as stream:
            stream.write(json.dumps(manifest).encode())
        shutil.rmtree(final, ignore_errors=True)
        aside.rename(final)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync_folder(folder)
    for old in _steps(folder)[KEPT:]:
        shutil.rmtree(folder / f"step-{old}", ignore_errors=True)


def load_newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    """State of the newest checkpoint that is whole, or None where there is none at all.

    A damaged one is named on stderr, and the one before it is used.

    Raises:
        CheckpointError: if there are checkpoints and none is whole; to begin again in silence would hide a loss.
    """
    steps = _steps(folder)
    for step in steps:
        path = folder / f"step-{step}"
        fault = _fault(path)
        if fault is None:
            return load_tensors(path / "state.pt")
        print(f"warning: {path}: {fault}; the checkpoint before it is tried", file=sys.stderr)
    if steps:
        raise CheckpointError(
            f"{folder}: none of {len(steps)} checkpoints is whole; remove the run's folder to begin again, "
            "or give the run another --name"
        )
    return None


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """`torch.save`, safe from a power cut when this returns, and never half-written under its own name.

    Raises:
        OSError: if the disk doesn't take it.
    """
    with written_whole(path) as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # Torch's writer, closing a file that took no more, speaks of positions and not of the disk.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def save_weights(path: Path, weights: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """The weights as safetensors, whole or not at all; each fact is JSON in the file's metadata."""
    on_cpu = {name: weight.detach().cpu().contiguous() for name, weight in weights.items()}
    with written_whole(path) as stream:
        stream.write(safetensors_torch.save(on_cpu, {name: json.dumps(fact) for name, fact in facts.items()}))


def load_tensors(path: Path) -> dict[str, Any]:
    """What `save_tensors` wrote, on the CPU. Anything but tensors and plain values is refused, and nothing is run.

    Raises:
        CheckpointError: if the file is missing, damaged, or holds more than tensors and plain values.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a foreign pickle's protocol: the error that follows says more
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; train the run first, or name another") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: can't be read as tensors and plain values ({reason}); it was not used"
        ) from None


def load_weights(path: Path) -> dict[str, Any]:
    """What `save_weights` wrote, as `load_tensors` gives it: the weights under `model`, and the facts.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    try:
        with safe_open(path, "pt") as file:
            facts = {name: json.loads(fact) for name, fact in (file.metadata() or {}).items()}
            return {"model": {name: file.get_tensor(name) for name in file.keys()}, **facts}  # noqa: SIM118 - no dict
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{path}: can't be read as weights ({error}); it was not used") from None


def _steps(folder: Path) -> list[int]:
    """Steps that have a checkpoint, newest first."""
    names = [path.name.removeprefix("step-") for path in folder.glob("step-*")]
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def _fault(path: Path) -> str | None:
    """What is wrong with a checkpoint folder, or None."""
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
        expected = manifest["sha256"]["state.pt"]
        actual = sha256_of(path / "state.pt")
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"incomplete ({type(error).__name__}: {error})"
    return None if actual == expected else "state.pt differs from its sha256 in manifest.json"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
