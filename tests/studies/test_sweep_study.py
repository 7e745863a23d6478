"""`scaling-lab study` with a server: a real sweep, real agents, stopped, lost, cancelled and gone on with."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import RunningServer, wait_until
from study_desk import STUDY, Desk, new_desk

pytestmark = pytest.mark.slow

# Long enough that nobody is done before the test has seen it train and stopped it.
LONG_STEPS = 1_000
LONG = ("--tokens", str(512 * LONG_STEPS), "-o", "machine.checkpoint_every_seconds=1")
# For a run that is to be stopped and never gone on with: only the test ends it.
ENDLESS = ("--tokens", str(512 * 1_000_000))
SHORT = ("--tokens", str(512 * 8))
WAIT_SECONDS = 240.0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with new_desk(tmp_path) as desk:
        yield desk


def test_a_study_is_a_sweep_of_two_agents_and_its_report_is_that_of_the_project(desk: Desk) -> None:
    first = desk.run(*STUDY, *SHORT)
    assert first.returncode == 0, first.stderr
    assert "not kept on the server" not in first.stderr
    assert "the server lacks" not in first.stderr
    sweep = desk.sweep()
    assert desk.trials(sweep) == [(size, "finished", 8) for size in ("tiny", "small", "medium", "large", "xl")]
    assert desk.status(sweep)["state"] == "finished"
    logs = sorted(path.name for path in (desk.folder / "outputs/scaling_study/logs").iterdir())
    assert logs == ["agent-1.log", "agent-2.log"][: len(logs)]
    # Nothing beside outputs/ in the folder, and no account in the home.
    assert sorted(path.name for path in desk.folder.iterdir()) == ["music", "outputs"]
    assert not [path for path in (".netrc", ".config") if (desk.home / path).exists()]

    second = desk.run(*STUDY, *SHORT)
    assert (second.returncode, second.stdout) == (0, first.stdout)
    assert desk.sweep() == sweep
    assert sorted(path.name for path in (desk.folder / "outputs/scaling_study/logs").iterdir()) == logs

    written = json.loads((desk.folder / "outputs/scaling_study/scaling_study_results.json").read_text())
    pulled = desk.run("report", "--project", "music-scaling", "--tracking", "local", "--sweep", sweep, "--json")
    assert json.loads(pulled.stdout)["laws"] == written["laws"]
    assert json.loads(pulled.stdout)["runs"] == written["runs"]


def test_a_stopped_study_goes_on_with_the_same_sweep_and_the_same_runs(desk: Desk) -> None:
    arguments = (*STUDY, *LONG, "--sizes", "tiny,small", "--jobs", "2")
    study = desk.begin(*arguments)
    names = ("mini-tiny-seed0", "mini-small-seed0")
    wait_until(lambda: all(len(desk.steps(name)) > 5 for name in names), WAIT_SECONDS, "two runs that train")
    # One of the trials has no agent any more that would hand the signal on.
    os.kill(desk.agents()[0], signal.SIGKILL)
    study.send_signal(signal.SIGTERM)
    _, said = study.communicate(timeout=60)
    assert study.returncode == 75
    assert "the same command goes on" in said
    wait_until(lambda: not desk.processes(), 30, "every process to end")
    sweep, before = desk.sweep(), {name: desk.results(name) for name in names}
    assert {results["state"] for results in before.values()} == {"stopped"}
    assert all(results["steps_done"] < LONG_STEPS for results in before.values())

    ended = desk.run(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert f"sweep {sweep} goes on" in ended.stderr
    assert desk.sweep() == sweep
    for name in names:
        assert desk.steps(name) == list(range(1, LONG_STEPS + 1))
        assert desk.results(name)["wandb_id"] == before[name]["wandb_id"]
    assert desk.trials(sweep) == [("tiny", "finished", LONG_STEPS), ("small", "finished", LONG_STEPS)]


def test_a_killed_study_goes_on_with_the_trials_that_outlived_it_and_their_server(desk: Desk) -> None:
    arguments = (*STUDY, *LONG, "--sizes", "tiny,small", "--jobs", "2", "--tunes", "0")
    study = desk.begin(*arguments)
    names = ("mini-tiny-seed0", "mini-small-seed0")
    wait_until(lambda: all(len(desk.steps(name)) > 5 for name in names), WAIT_SECONDS, "two runs that train")
    study.kill()
    study.communicate(timeout=60)
    ended = desk.run(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert "the server lacks" not in ended.stderr
    for name in names:
        assert desk.steps(name) == list(range(1, LONG_STEPS + 1))
    assert sorted(desk.trials(desk.sweep())) == [("small", "finished", LONG_STEPS), ("tiny", "finished", LONG_STEPS)]
    results = json.loads((desk.folder / "outputs/scaling_study/scaling_study_results.json").read_text())
    assert (len(results["runs"]), results["left_out"]) == (2, [])


def test_an_agent_lost_with_its_trial_is_replaced_and_the_trial_goes_on(desk: Desk) -> None:
    server = RunningServer(desk.folder / "outputs/local-wandb", desk.home, crashed_after_seconds=10).start()
    study = desk.begin(*STUDY, *LONG, "--sizes", "tiny", "--jobs", "1")
    name = "mini-tiny-seed0"
    wait_until(lambda: any((desk.folder / "outputs" / name).glob("checkpoints/step-*")), WAIT_SECONDS, "a checkpoint")
    (agent,) = wait_until(lambda: desk.agents(), 30, "an agent")
    trial = int((desk.folder / "outputs" / name / ".lock").read_text())
    os.kill(agent, signal.SIGKILL)
    os.kill(trial, signal.SIGKILL)
    run_id = desk.results(name)["wandb_id"]
    _, said = study.communicate(timeout=WAIT_SECONDS)
    assert study.returncode == 0, said
    assert "an agent was lost (exit code -9); another takes its place" in said
    assert desk.steps(name) == list(range(1, LONG_STEPS + 1))
    assert desk.results(name)["wandb_id"] == run_id
    assert desk.trials(desk.sweep()) == [("tiny", "finished", LONG_STEPS)]
    server.stop()


def test_a_server_that_refuses_in_the_middle_costs_no_report_and_the_same_command_goes_on(desk: Desk) -> None:
    server = RunningServer(desk.folder / "store", desk.home).start()
    desk.told = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": server.api_key}
    sizes = ("tiny", "small", "medium")
    arguments = (*STUDY, *LONG, "--tracking", "online", "--sizes", ",".join(sizes), "--jobs", "1", "--tunes", "0")
    study = desk.begin(*arguments)
    wait_until(lambda: desk.steps("mini-small-seed0"), WAIT_SECONDS, "the second of the three")
    server.stop()
    key = desk.folder / "store/key"
    right = key.read_text()
    key.write_text(f"local-{'0' * 40}\n")
    server.start()
    _, said = study.communicate(timeout=WAIT_SECONDS)
    assert study.returncode == 4, said
    assert "study: the same command goes on; with --tracking disabled it needs no server" in said
    assert "Traceback" not in said
    assert "mini-medium-seed0" in (desk.folder / "outputs/scaling_study/report.html").read_text()

    server.stop()
    key.write_text(right)
    server.start()
    ended = desk.run(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert {desk.results(f"mini-{size}-seed0")["state"] for size in sizes} == {"complete"}
    server.stop()


def test_a_trial_that_fails_is_named_and_tried_again_in_a_new_sweep(desk: Desk) -> None:
    broken = desk.folder / "outputs/mini-small-seed0/checkpoints/step-3"
    broken.mkdir(parents=True)
    arguments = (*STUDY, *SHORT, "--sizes", "tiny,small", "--jobs", "1")
    ended = desk.run(*arguments)
    assert ended.returncode == 1
    assert "mini-small-seed0: failed:" in ended.stderr
    assert "none of 1 checkpoints is whole" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "mini-tiny-seed0" in (desk.folder / "outputs/scaling_study/report.html").read_text()

    sweep, tiny = desk.sweep(), desk.steps("mini-tiny-seed0")
    # The agent may have asked for another trial before the study let it go, and the sweep is over then by itself.
    over = desk.status(sweep)["state"]
    cancelled = desk.run("sweep", "cancel", sweep, "--tracking", "local")
    if over == "finished":
        assert f"sweep {sweep}: is finished already" in cancelled.stderr
    else:
        assert cancelled.stdout == f"sweep {sweep}: canceled\n"
        over = "canceled"
    broken.rmdir()
    again = desk.run(*arguments)
    assert again.returncode == 0, again.stderr
    assert f"sweep {sweep} is {over}, and runs are not complete; a new one takes its place" in again.stderr
    # The new sweep holds the run that was complete before, too: told anew, not trained anew.
    assert desk.trials(desk.sweep()) == [("tiny", "finished", 8), ("small", "finished", 8)]
    assert desk.steps("mini-tiny-seed0") == tiny


def test_a_cancelled_sweep_ends_the_study_and_its_trial_keeps_a_checkpoint(desk: Desk) -> None:
    study = desk.begin(*STUDY, *ENDLESS, "--sizes", "tiny,small", "--jobs", "1")
    wait_until(lambda: len(desk.steps("mini-small-seed0")) > 5, WAIT_SECONDS, "a run that trains")
    sweep = desk.sweep()
    assert desk.run("sweep", "cancel", sweep, "--tracking", "local").returncode == 0
    _, said = study.communicate(timeout=WAIT_SECONDS)
    assert study.returncode == 1
    assert f"sweep {sweep} was stopped; the same command goes on with a new one" in said
    results = desk.results("mini-small-seed0")
    assert results["state"] == "stopped"
    assert [path.name for path in (desk.folder / "outputs/mini-small-seed0/checkpoints").iterdir()] != []
    assert desk.sweep() == sweep
    assert desk.steps("mini-tiny-seed0") == []
