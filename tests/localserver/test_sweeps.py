"""Sweeps by the real `wandb sweep` and the real `wandb agent`: every trial once, and again if it was lost."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from server_client import Client
from servers import RunningServer, wait_until

pytestmark = pytest.mark.slow

TRIAL = """
import os, signal, sys, time
import wandb
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
settings = wandb.Settings(silent=True, x_file_stream_transmit_interval=0.5)
run = wandb.init(settings=settings, resume="allow")
arguments = dict(part.removeprefix("--").split("=") for part in sys.argv[1:])
steps = int(arguments.get("steps", 3))
if arguments.get("fails") == "True":
    run.finish(exit_code=1)
    sys.exit(1)
for step in range(max(1, run.starting_step), steps + 1):
    run.log({"val/loss": 1 / step, "train/step": step}, step=step)
    time.sleep(float(os.environ.get("STEP_SECONDS", 0)))
    if asked:
        run.mark_preempting()
        run.finish(exit_code=75)
        sys.exit(75)
run.finish()
"""
COMMAND = ["${env}", "${interpreter}", "${program}", "${args_no_boolean_flags}"]
TRIALS = """
runs = wandb.Api().sweep(sys.argv[1]).runs
keys = ["train/step"]
print(json.dumps([{"id": run.id, "state": run.state, "config": run.config,
    "steps": [row["train/step"] for row in run.scan_history(keys=keys, use_cache=False)]} for run in runs]))
"""


NEW_SWEEP = """mutation ($config: String) {
  upsertSweep(input: {entityName: "local", projectName: "music", config: $config}) { sweep { name } } }"""
NEW_AGENT = """mutation ($sweep: String!) {
  createAgent(input: {host: "here", projectName: "music", entityName: "local", sweep: $sweep}) { agent { id } } }"""
HEARTBEAT = """mutation ($agent: ID!, $runs: JSONString) {
  agentHeartbeat(input: {id: $agent, runState: $runs}) { commands } }"""


class Bench:
    """A folder with a sweep's program, and what a person does with it."""

    def __init__(self, server: RunningServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.agents: list[subprocess.Popen[bytes]] = []
        (folder / "trial.py").write_text(TRIAL)

    def create(self, parameters: dict[str, Any], method: str = "grid", **more: Any) -> str:
        content = {"program": "trial.py", "project": "tests", "method": method, "command": COMMAND}
        (self.folder / "sweep.yaml").write_text(json.dumps({**content, "parameters": parameters, **more}))
        said = self.wandb("sweep", "sweep.yaml")
        return said.rsplit("wandb agent ", 1)[1].split()[0]

    def wandb(self, *arguments: str) -> str:
        """What `wandb …` says."""
        return self._run("wandb", *arguments)

    def scaling_lab(self, *arguments: str) -> str:
        """What `scaling-lab …` says."""
        return self._run("scaling_lab", *arguments)

    def _run(self, module: str, *arguments: str) -> str:
        environment = self.server.environment() | {"WANDB_SILENT": "false"}
        command = [sys.executable, "-m", module, *arguments]
        ended = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    def start_agent(self, sweep: str, **environment: str) -> subprocess.Popen[bytes]:
        agent = subprocess.Popen(
            [sys.executable, "-m", "wandb", "agent", sweep],
            cwd=self.folder,
            # The server gives trials up; left to itself, the agent does so before.
            env=self.server.environment()
            | {"WANDB_AGENT_DISABLE_FLAPPING": "true", "WANDB_AGENT_MAX_INITIAL_FAILURES": "100"}
            | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.agents.append(agent)
        return agent

    def trials(self, sweep: str) -> list[dict[str, Any]]:
        """Every run of the sweep as `wandb.Api()` reads it, with the steps that its history holds."""
        return json.loads(self._answer(TRIALS, sweep))

    def state(self, sweep: str) -> str:
        return self._answer("print(wandb.Api().sweep(sys.argv[1]).state)", sweep).strip()

    def _answer(self, source: str, sweep: str) -> str:
        """What a script prints. It leaves without the SDK's wait for its service at exit, which has no limit."""
        script = f"import json, os, sys, wandb\n{source}\nsys.stdout.flush()\nos._exit(0)\n"
        return self.server.python(script, sweep, cwd=self.folder)


@pytest.fixture
def bench(make_server: Callable[..., RunningServer], tmp_path: Path) -> Iterator[Bench]:
    folder = tmp_path / "work"
    folder.mkdir()
    bench = Bench(make_server(crashed_after_seconds=12), folder)
    yield bench
    for agent in bench.agents:
        agent.kill()
        agent.wait()


def test_a_grid_of_five_is_trained_once_each_by_an_agent_that_then_leaves(bench: Bench) -> None:
    sizes = ["xl", "large", "medium", "small", "tiny"]
    sweep = bench.create({"size": {"values": sizes}, "seed": {"values": [0]}})
    assert bench.state(sweep) == "PENDING"
    assert bench.start_agent(sweep).wait(120) == 0
    trials = bench.trials(sweep)
    assert [trial["config"]["size"] for trial in trials] == sizes
    assert [trial["state"] for trial in trials] == ["finished"] * 5
    assert [trial["steps"] for trial in trials] == [[1, 2, 3]] * 5
    assert bench.state(sweep) == "FINISHED"


def test_an_agent_finds_a_sweep_by_its_id_alone(bench: Bench) -> None:
    sweep = bench.create({"size": {"values": ["tiny"]}})
    assert bench.start_agent(sweep.rsplit("/", 1)[1], WANDB_PROJECT="tests").wait(60) == 0
    assert [trial["state"] for trial in bench.trials(sweep)] == ["finished"]


def test_what_was_given_up_is_told_and_handed_out_again_once_the_sweep_is_resumed(bench: Bench) -> None:
    sweep = bench.create({"size": {"values": ["tiny", "small"]}})
    whole = (bench.folder / "trial.py").read_text()
    (bench.folder / "trial.py").write_text("import sys\nif '--size=tiny' in sys.argv: sys.exit(2)\n" + whole)
    assert bench.start_agent(sweep).wait(120) == 0
    assert bench.state(sweep) == "FINISHED"
    told = bench.scaling_lab("sweep", "status", sweep)
    assert "finished, 1 of 2 trials finished" in told
    assert "1 given up: the command ended before it made a run" in told
    assert "given up" in bench.server.get(f"/{sweep.replace('/tests/', '/tests/sweeps/')}").decode()
    (bench.folder / "trial.py").write_text(whole)
    bench.scaling_lab("sweep", "resume", sweep)
    assert bench.start_agent(sweep).wait(120) == 0
    assert sorted(trial["config"]["size"] for trial in bench.trials(sweep)) == ["small", "tiny"]
    assert bench.state(sweep) == "FINISHED"


def test_points_drawn_at_random_end_at_the_cap(bench: Bench) -> None:
    parameters = {
        "rate": {"distribution": "log_uniform_values", "min": 0.001, "max": 0.1},
        "width": {"distribution": "q_uniform", "min": 8, "max": 64, "q": 8},
        "size": {"values": ["tiny", "small"]},
    }
    sweep = bench.create(parameters, method="random", run_cap=2)
    assert bench.start_agent(sweep).wait(60) == 0
    configs = [trial["config"] for trial in bench.trials(sweep)]
    assert len({json.dumps(config, sort_keys=True) for config in configs}) == 2
    for config in configs:
        assert 0.001 <= config["rate"] <= 0.1
        assert config["width"] in range(8, 65, 8)
        assert config["size"] in ("tiny", "small")


def test_an_agent_killed_with_its_trial_loses_nothing_another_takes_the_trial_over(bench: Bench) -> None:
    sweep = bench.create({"size": {"values": ["tiny"]}, "steps": {"value": 60}})
    killed = bench.start_agent(sweep, STEP_SECONDS="0.5")
    before = wait_until(lambda: [trial for trial in bench.trials(sweep) if trial["steps"]], what="rows")
    child = child_of(killed.pid)
    killed.kill()
    os.kill(child, signal.SIGKILL)
    assert bench.start_agent(sweep).wait(90) == 0
    (trial,) = bench.trials(sweep)
    assert trial["id"] == before[0]["id"]
    assert trial["state"] == "finished"
    assert trial["steps"] == list(range(1, 61))


def test_a_trial_that_was_preempted_goes_on_under_the_same_id(bench: Bench) -> None:
    sweep = bench.create({"size": {"values": ["tiny"]}, "steps": {"value": 60}})
    first = bench.start_agent(sweep, STEP_SECONDS="0.5")
    wait_until(lambda: any(trial["steps"] for trial in bench.trials(sweep)), what="rows")
    os.kill(child_of(first.pid), signal.SIGTERM)
    # The same agent asks for the next trial, and is given this one again.
    wait_until(lambda: any(trial["state"] == "finished" for trial in bench.trials(sweep)), what="the end")
    assert first.wait(30) == 0
    (trial,) = bench.trials(sweep)
    assert trial["steps"] == list(range(1, 61))


def test_a_trial_stopped_with_its_agent_is_handed_out_again_at_once(
    make_server: Callable[..., RunningServer], tmp_path: Path
) -> None:
    # An agent that is stopped says no goodbye: it would be missed an hour later.
    bench = Bench(make_server(crashed_after_seconds=3600), tmp_path)
    sweep = bench.create({"size": {"values": ["tiny"]}, "steps": {"value": 40}})
    stopped = bench.start_agent(sweep, STEP_SECONDS="0.5")
    wait_until(lambda: any(trial["steps"] for trial in bench.trials(sweep)), what="rows")
    trial = child_of(stopped.pid)
    stopped.kill()
    stopped.wait()
    os.kill(trial, signal.SIGTERM)
    second = bench.start_agent(sweep)
    assert second.wait(60) == 0
    assert [(trial["state"], trial["steps"]) for trial in bench.trials(sweep)] == [("finished", [*range(1, 41)])]


def test_a_cancelled_sweep_stops_its_trial_and_its_agent(bench: Bench) -> None:
    sweep = bench.create({"size": {"values": ["tiny", "small"]}, "steps": {"value": 1000}})
    agent = bench.start_agent(sweep, STEP_SECONDS="0.5")
    wait_until(lambda: any(trial["steps"] for trial in bench.trials(sweep)), what="rows")
    bench.wandb("sweep", "--cancel", sweep)
    assert agent.wait(60) == 0
    (trial,) = bench.trials(sweep)
    assert trial["state"] == "preempted"
    assert bench.state(sweep) == "CANCELED"


def test_a_paused_sweep_hands_nothing_out_until_it_is_resumed_and_a_stopped_one_ends_after_its_trial(
    bench: Bench,
) -> None:
    sweep = bench.create({"size": {"values": ["tiny", "small", "medium"]}, "steps": {"value": 8}})
    agent = bench.start_agent(sweep, STEP_SECONDS="1")
    wait_until(lambda: bench.trials(sweep), what="the first trial")
    bench.wandb("sweep", "--pause", sweep)
    wait_until(lambda: bench.trials(sweep)[0]["state"] == "finished", what="its end")
    assert bench.state(sweep) == "PAUSED"
    with pytest.raises(subprocess.TimeoutExpired):
        agent.wait(8)
    assert len(bench.trials(sweep)) == 1
    bench.wandb("sweep", "--resume", sweep)
    wait_until(lambda: len(bench.trials(sweep)) == 2, what="the second trial")
    bench.wandb("sweep", "--stop", sweep)
    assert agent.wait(60) == 0
    assert [trial["state"] for trial in bench.trials(sweep)] == ["finished", "finished"]


def test_a_trial_that_never_begins_is_tried_six_times_and_one_that_fails_once(bench: Bench) -> None:
    sweep = bench.create({"fails": {"values": [True]}})
    bench.start_agent(sweep).wait(60)
    (trial,) = bench.trials(sweep)
    assert trial["state"] == "failed"

    (bench.folder / "trial.py").write_text("open('begun', 'a').write('x'); raise SystemExit(1)")
    sweep = bench.create({"size": {"values": ["tiny"]}})
    assert bench.start_agent(sweep).wait(120) == 0
    assert (bench.folder / "begun").read_text() == "xxxxxx"
    assert bench.trials(sweep) == []
    assert bench.state(sweep) == "FINISHED"


def test_a_trial_that_is_killed_again_and_again_is_handed_out_for_as_long_as_it_gets_further(
    server: RunningServer,
) -> None:
    client = Client(server)
    config = json.dumps({"method": "grid", "parameters": {"size": {"values": ["tiny"]}}})
    made = client.graphql(NEW_SWEEP, config=config).json["data"]["upsertSweep"]["sweep"]["name"]
    agent = client.graphql(NEW_AGENT, sweep=made).json["data"]["createAgent"]["agent"]["id"]

    def command() -> dict[str, Any]:
        """What the agent is told when it has no run, as after a kill of one."""
        answer = client.graphql(HEARTBEAT, agent=agent, runs="{}").json["data"]["agentHeartbeat"]["commands"]
        return json.loads(answer)[0]

    run = command()["run_id"]
    for step in range(6):
        client.run(run, sweep=made)
        client.log(run, [{"_step": step}])
        assert command() == {"type": "resume", "run_id": run, "program": None, "args": {"size": {"value": "tiny"}}}
    # The last command was the first attempt since; five times more it is tried, and given up.
    assert [command()["type"] for _ in range(6)] == ["resume"] * 5 + ["exit"]


@pytest.mark.parametrize(
    ("parameters", "method", "said"),
    [
        ({"size": {"values": ["tiny"]}}, "bayes", "method 'bayes' is not served here"),
        ({"rate": {"min": 0.1, "max": 0.2}}, "grid", "a grid needs value or values"),
        ({"rate": {"values": list(range(200))}, "seed": {"values": list(range(200))}}, "grid", "40,000 points"),
    ],
)
def test_a_sweep_that_cant_be_served_is_refused_with_the_reason(
    bench: Bench, parameters: dict[str, Any], method: str, said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        bench.create(parameters, method)


def child_of(pid: int) -> int:
    """The trial that an agent runs."""

    def trial() -> int | None:
        children = [line for path in Path(f"/proc/{pid}/task").glob("*/children") for line in path.read_text().split()]
        found = [child for child in children if b"trial.py" in Path(f"/proc/{child}/cmdline").read_bytes()]
        return int(found[0]) if found else None

    return wait_until(trial, what="a trial")
