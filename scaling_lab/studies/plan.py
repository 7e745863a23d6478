"""What a study will do: one run for each size and seed, all else the same, and how many of them at a time."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaling_lab.config.identity import differences, run_identity
from scaling_lab.config.schema import RunConfig
from scaling_lab.data.dataset import Dataset
from scaling_lab.model.cost import flops_per_token
from scaling_lab.tracking.journal import JOURNAL_NAME, ends_early
from scaling_lab.tracking.results import read_results


@dataclass(frozen=True)
class StudyPlan:
    """A study's runs, the most expensive first: what is started last should be short, or it is waited for alone.

    Attributes:
        folder: where the study's own results go, beside its runs' folders.
        jobs: runs at a time.
    """

    folder: Path
    configs: tuple[RunConfig, ...]
    dataset: Dataset
    jobs: int

    def unfinished(self) -> list[RunConfig]:
        """Runs that are left to train."""
        return [config for config in self.configs if not is_complete(config, self.dataset)]


def plan_study(folder: Path, configs: Sequence[RunConfig], dataset: Dataset, jobs: int | None) -> StudyPlan:
    """Order the runs and share out the machine: as many at a time as there are cores, or one on a GPU."""
    by_cost = sorted(configs, key=lambda config: -_cost(config, dataset.vocab_size))
    cores = len(os.sched_getaffinity(0))
    jobs = jobs or (1 if _on_gpu(configs[0]) else min(cores, len(configs)))
    threads = configs[0].machine.threads or max(1, cores // jobs)
    shared = [
        config.model_copy(update={"machine": config.machine.model_copy(update={"threads": threads})})
        for config in by_cost
    ]
    return StudyPlan(folder, tuple(shared), dataset, jobs)


def is_complete(config: RunConfig, dataset: Dataset) -> bool:
    """Whether the run's folder holds this very run, trained to its end."""
    results = read_results(config.run_dir) or {}
    before = results.get("identity")
    if results.get("state") != "complete" or not isinstance(before, dict):
        return False
    precision = config.machine.precision
    if precision == "auto":  # what the machine chose then; a run that is done is not done again for it
        precision = before.get("machine.precision", "")
    if differences(before, run_identity(config, dataset.fingerprint, precision)):
        return False
    # Rows of its end are lost: no report could use it, and `train` refuses it with what to do.
    return not ends_early(config.run_dir / JOURNAL_NAME, results.get("steps"))


def _cost(config: RunConfig, vocab_size: int) -> float:
    return flops_per_token(config.model, vocab_size, config.data.sequence_length)


def _on_gpu(config: RunConfig) -> bool:
    """Asked of the driver, not of torch, which takes seconds to import."""
    device = config.machine.device
    return device == "cuda" or (device == "auto" and Path("/proc/driver/nvidia/version").exists())
