"""Every sweep file: each of its trials is a command that our own command line understands."""

import itertools
import json
from pathlib import Path

import pytest
import yaml
from cli_in_process import CommandLine

SWEEPS = sorted((Path(__file__).parents[1] / "sweeps").glob("*.yaml"))


def trials(sweep: dict) -> list[list[str]]:
    """Arguments of `scaling-lab` in every trial of a grid, as W&B's agent fills in the command."""
    names = list(sweep["parameters"])
    grid = itertools.product(*(sweep["parameters"][name]["values"] for name in names))
    fixed = sweep["command"][sweep["command"].index("${program}") + 1 : -1]
    return [[*fixed, *(f"--{name}={value}" for name, value in zip(names, point, strict=True))] for point in grid]


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_trial_of_a_sweep_is_a_valid_run(path: Path, scaling_lab: CommandLine) -> None:
    sweep = yaml.safe_load(path.read_text())
    assert sweep["program"] == "cli.py"
    assert sweep["command"][-1] == "${args_no_boolean_flags}"
    assert "early_terminate" not in sweep
    runs = set()
    for arguments in trials(sweep):
        assert arguments[0] == "train"
        shown = scaling_lab("config", "show", *arguments[1:], "--json")
        assert shown.code == 0, shown.err
        config = json.loads(shown.out)["config"]
        runs.add((config["ladder"], config["size"], config["seed"], config["recipe"]["learning_rate"]))
    assert len(runs) == len(trials(sweep))
