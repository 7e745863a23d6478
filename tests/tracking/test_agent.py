"""Trials by the real `wandb agent`: stopped ones resumed as the same run, complete ones told, torchrun's kept apart."""

import json
import os
import signal
import sys

import pytest
from servers import wait_until
from trainings import MANY_STEPS, Training

pytestmark = pytest.mark.slow

_SWEEP = """
import json, sys, wandb
print(wandb.sweep(json.loads(sys.argv[1]), project="music-scaling", entity="local"))
"""


def create_sweep(training: Training, *interpreter: str) -> str:
    """A sweep of one trial, the run that `training` names; its address."""
    content = {
        "program": "cli.py",
        "method": "grid",
        "parameters": {"seed": {"values": [0]}},
        "command": ["${env}", *interpreter, "-m", "scaling_lab", *training.command(), "${args_no_boolean_flags}"],
    }
    said = training.server.python(_SWEEP, json.dumps(content), cwd=training.folder)
    return f"local/music-scaling/{said.split()[-1]}"


def run_agent(training: Training, sweep: str) -> None:
    """An agent, until it finds nothing left to do."""
    agent = training.popen([sys.executable, "-m", "wandb", "agent", sweep], WANDB_AGENT_DISABLE_FLAPPING="true")
    _, said = agent.communicate(timeout=180)
    assert agent.returncode == 0, said


def test_a_trial_that_was_stopped_is_resumed_with_the_same_run_id(training: Training) -> None:
    training.steps = MANY_STEPS
    sweep = create_sweep(training, "${interpreter}")
    agent = training.popen([sys.executable, "-m", "wandb", "agent", sweep], WANDB_AGENT_DISABLE_FLAPPING="true")
    training.wait_for_rows(20)
    os.kill(int((training.run_dir / ".lock").read_text()), signal.SIGTERM)
    wait_until(lambda: training.results()["state"] == "stopped", what="a checkpoint")
    (stopped,) = training.on_server()
    _, said = agent.communicate(timeout=180)
    assert agent.returncode == 0, said
    (run,) = training.on_server()
    assert (run["id"], run["state"], run["sweep"]) == (stopped["id"], "finished", sweep.rsplit("/", 1)[1])
    assert training.results()["wandb_id"] == run["id"]
    assert training.results()["wandb_sweep"] == run["sweep"]
    assert run["rows"] == training.journal()
    assert len(run["rows"]) == training.steps


def test_a_trial_of_a_run_that_is_complete_already_is_told_its_history_and_done(training: Training) -> None:
    training.finish("--tracking", "disabled")
    before = {name: (training.run_dir / name).read_bytes() for name in ("metrics.jsonl", "metrics.json", "config.yaml")}
    results = training.results()
    run_agent(training, create_sweep(training, "${interpreter}"))
    (run,) = training.on_server()
    assert run["state"] == "finished"
    assert run["rows"] == training.journal()
    assert run["summary"]["result"]["updated_at"] == results["updated_at"]
    assert {name: (training.run_dir / name).read_bytes() for name in before} == before
    assert training.results()["wandb_id"] == run["id"]
    told = {name: value for name, value in training.results().items() if not name.startswith("wandb_")}
    assert told == {name: value for name, value in results.items() if not name.startswith("wandb_")}


def test_of_two_processes_that_torchrun_starts_one_talks_to_wandb(training: Training) -> None:
    sweep = create_sweep(training, "torchrun", "--standalone", "--nproc_per_node=2")
    run_agent(training, sweep)
    (run,) = training.on_server()
    assert run["state"] == "finished"
    assert run["rows"] == training.journal()
    assert len(run["rows"]) == training.steps
