"""A sweep's YAML file, read and checked before any server hears of it: `scaling-lab sweep create FILE`.

W&B takes nearly any file, and its faults show hours later, one failed trial at a time. Here every trial is resolved
into a RunConfig first, just as the agent would call for it: the fixed words of `command`, then `--name=value` for each
parameter. Every fault is a line of one ConfigError: `file:line:column: field: problem; fix`.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.config.fields import nearest, shown
from scaling_lab.config.resolve import resolve_config
from scaling_lab.config.schema import RunConfig
from scaling_lab.config.yaml_reader import MAX_FAULTS, KeyPath, YamlDocument, read_yaml
from scaling_lab.errors import ConfigError
from scaling_lab.studies.sweep_command import FixedWords, read_command
from scaling_lab.studies.sweep_parameters import Candidate, read_parameters
from scaling_lab.tracking import metrics

KEYS = ("program", "command", "method", "parameters", "metric", "name", "description", "project", "entity", "run_cap")
MAX_TRIALS = 1_000
METRICS = tuple(dict.fromkeys((*metrics.TRAINING_METRICS, *metrics.EVALUATION_METRICS)))


@dataclass(frozen=True)
class SweepFile:
    """A sweep that can be created.

    Attributes:
        content: what W&B is told, with plain values.
        configs: the run of each trial of a grid; of a random sweep, runs at the ends of its ranges.
        notes: what is no fault and may still fail, as it stands in the file.
    """

    path: Path
    content: dict[str, Any]
    configs: tuple[RunConfig, ...]
    notes: tuple[str, ...]

    @property
    def project(self) -> str:
        """The project that the file names, or else that of its runs."""
        return self.content.get("project") or self.configs[0].tracking.project

    @property
    def entity(self) -> str | None:
        """The entity that the file names, if it does."""
        return self.content.get("entity") or self.configs[0].tracking.entity


def read_sweep(path: Path) -> SweepFile:
    """Read a sweep file, and resolve every trial.

    Raises:
        ConfigError: with a line for each fault.
    """
    if not path.exists():
        raise ConfigError(f"{path}: no such file; give a sweep's YAML file, such as sweeps/mini.yaml")
    return _Reader(read_yaml(path), path).read()


class _Reader:
    """One file on its way to a SweepFile, collecting faults."""

    def __init__(self, document: YamlDocument, path: Path) -> None:
        self._document, self._path = document, path
        self._faults: dict[str, None] = {}

    def read(self) -> SweepFile:
        content = self._document.values
        self._check_keys(content)
        self._check_method(content)
        self._check_metric(content.get("metric"))
        fixed = read_command(content.get("command"), lambda index: self._place(("command", index)), self._command_fault)
        if fixed.uses_program and not isinstance(content.get("program"), str):
            self._fault(("program",), "is missing, and command uses it; write program: cli.py")
        candidates = read_parameters(content.get("parameters"), content.get("method"), self._place, self._fault)
        self._check_fixed_twice(fixed, candidates)
        self._raise_faults()
        configs = tuple(self._resolved(fixed, candidates))
        self._raise_faults()
        return SweepFile(self._path, content, configs, tuple(self._notes(fixed, content)))

    def _notes(self, fixed: FixedWords, content: Mapping[str, Any]) -> Iterator[str]:
        # No fault: agents may be started elsewhere, on another machine say.
        if fixed.uses_program and not Path(content["program"]).exists():
            place, program = self._place(("program",)), content["program"]
            yield f"{place}: program: there is no {program} in this folder; start agents in a folder that has it"

    def _check_keys(self, content: Mapping[str, Any]) -> None:
        for key in content:
            if key == "early_terminate":
                self._fault((key,), "would end the very runs that the law is fitted to; take it out")
            elif key not in KEYS:
                near = nearest(key, KEYS)
                self._fault(
                    (key,),
                    f"no such key; did you mean {near}?" if near else f"no such key; a sweep takes {', '.join(KEYS)}",
                )
        for key in ("program", "name", "description", "project", "entity"):
            if key in content and not isinstance(content[key], str):
                self._fault((key,), f"{shown(content[key])} is not a word; put it in quotes, or leave it out")

    def _check_method(self, content: Mapping[str, Any]) -> None:
        method, cap = content.get("method"), content.get("run_cap")
        if method is None:
            self._fault(("method",), "is missing; write method: grid")
        elif method == "bayes":
            self._fault(
                ("method",), "bayes picks trials by their results, and a law wants them picked before; give grid"
            )
        elif method not in ("grid", "random"):
            self._fault(("method",), f"{shown(method)} is not known; give grid or random")
        if "run_cap" in content and (not isinstance(cap, int) or isinstance(cap, bool) or cap < 1):
            self._fault(("run_cap",), f"{shown(cap)} is not a number of trials; give a whole number from 1")
        if method == "random" and "run_cap" not in content:
            self._fault(("method",), "a random sweep never ends by itself; give run_cap, the number of its trials")

    def _check_metric(self, metric: Any) -> None:
        if metric is None:
            return
        if not isinstance(metric, dict) or "name" not in metric:
            self._fault(("metric",), "names no metric; write `name: val/loss` and `goal: minimize` under it")
            return
        if metric["name"] not in METRICS:
            near = nearest(str(metric["name"]), METRICS)
            self._fault(("metric", "name"), f"no run logs {shown(metric['name'])}; give {near or 'val/loss'}")
        if metric.get("goal", "minimize") not in ("minimize", "maximize"):
            self._fault(("metric", "goal"), f"{shown(metric['goal'])} is not known; give minimize or maximize")

    def _check_fixed_twice(self, fixed: FixedWords, candidates: Mapping[str, Any]) -> None:
        swept = {candidate.override.key: name for name, all_of in candidates.items() for candidate in all_of}
        for override in fixed.overrides:
            if override.key in swept:
                self._faults[f"{override.place}: command: fixes {override.key}, which is a parameter too; keep one"] = (
                    None
                )

    def _resolved(self, fixed: FixedWords, candidates: Mapping[str, tuple[Candidate, ...]]) -> Iterator[RunConfig]:
        """The run of each trial; a trial that is none, or takes another's folder, is a fault."""
        owners: dict[Path, str] = {}
        for point in self._points(candidates):
            overrides = [*fixed.overrides, *(candidate.override for candidate in point)]
            try:
                config = resolve_config(fixed.config_file, overrides=overrides, environ={}).config
            except ConfigError as error:
                self._faults |= dict.fromkeys(str(error).splitlines())
                continue
            trial = " ".join(str(candidate) for candidate in point)
            first = owners.setdefault(config.run_dir, trial)
            if first != trial:
                self._fault(
                    ("parameters",),
                    f"trials {first} and {trial} would share the folder {config.run_dir}; add to command, "
                    "say, --name={size}-lr{learning_rate}-seed{seed}",
                )
                return
            yield config

    def _points(self, candidates: Mapping[str, tuple[Candidate, ...]]) -> Iterator[tuple[Candidate, ...]]:
        points = itertools.product(*candidates.values())
        yield from itertools.islice(points, MAX_TRIALS)
        if next(points, None) is not None:
            self._fault(("parameters",), f"more than {MAX_TRIALS:,} trials; give fewer values, or several sweeps")

    def _command_fault(self, index: int | None, words: str) -> None:
        self._fault(("command",) if index is None else ("command", index), words)

    def _fault(self, path: KeyPath, words: str) -> None:
        name = ".".join(str(part) for part in path if isinstance(part, str))
        self._faults[f"{self._place(path)}: {name}: {words}"] = None

    def _place(self, path: KeyPath) -> str:
        """The place of a key, or of what it should stand under."""
        while path and path not in self._document.positions:
            path = path[:-1]
        return self._document.place(path) if path else f"{self._document.name}:1:1"

    def _raise_faults(self) -> None:
        lines = list(self._faults)
        more = [f"… and {len(lines) - MAX_FAULTS} more"] if len(lines) > MAX_FAULTS else []
        if lines:
            raise ConfigError("\n".join(lines[:MAX_FAULTS] + more))
