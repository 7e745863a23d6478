"""SIGTERM and Ctrl-C at any moment of any command: 75 and 130, true words, no traceback, nothing left behind."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers import wait_until
from study_desk import STUDY, Desk, new_desk, parent_of

from scaling_lab.stopping import Signals, Terminated, signals_wait

pytestmark = pytest.mark.slow

CODES = {signal.SIGTERM: 75, signal.SIGINT: 130}
BOTH = pytest.mark.parametrize("number", CODES)
NOT_BEGUN = "scaling-lab: stopped before anything was begun"
GOES_ON = "the same command goes on from here"
# Only the test ends them.
ENDLESS = ("--tokens", str(512 * 1_000_000))
DATA = ("--ladder", "mini", "--data-dir", "music", "--threads", "1", "-o", "data.sequence_length=64")
TRAIN = ("train", *DATA, "--size", "tiny", "--tracking", "disabled", "--batch-size-tokens", "512", *ENDLESS)
TWO_RUNS = (*STUDY, *ENDLESS, "--sizes", "tiny,small", "--jobs", "2")
ONE_RUN = (*STUDY, *ENDLESS, "--sizes", "tiny", "--tracking", "disabled")
TINY = "mini-tiny-seed0"
TUNE = "X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:G\n" + "|".join(["G2AB c2BA", "d2ef g2fe"] * 12) + "|]\n"
WAIT_SECONDS = 120.0

Process = subprocess.Popen[str]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with new_desk(tmp_path) as desk:
        yield desk


def end_of(process: Process, *numbers: signal.Signals) -> str:
    """What a process said at last that ends as the signals ask it to."""
    for number in numbers:
        process.send_signal(number)
    _, said = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == CODES[numbers[-1]], said
    assert "Traceback" not in said
    return said.splitlines()[-1]


def held(pid: int, kind: str) -> bool:
    """Whether SIGTERM is in this mask of a process: caught, blocked, or pending."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    masks = dict(line.split(":\t", 1) for line in lines if line.startswith(("Sig", "Shd")))
    return bool(int(masks[kind], 16) >> (signal.SIGTERM - 1) & 1)


def wait_until_heard(process: Process) -> None:
    """Python's own first moments are its own; a process that starts itself anew lets signals wait."""
    while process.poll() is None and not (held(process.pid, "SigCgt") or held(process.pid, "SigBlk")):
        time.sleep(0.002)


def freeze(process: int) -> None:
    """Have a process that will not stop by being asked."""
    os.kill(process, signal.SIGSTOP)
    wait_until(lambda: "State:\tT" in Path(f"/proc/{process}/status").read_text(), what="a process to freeze")


def wait_until_nothing_is_left(desk: Desk) -> None:
    wait_until(lambda: not desk.processes(), WAIT_SECONDS, "every process to end")


# Beginning


def test_training_that_is_stopped_at_any_moment_of_its_start_says_so(desk: Desk) -> None:
    def stopped(moment: int) -> str:
        process = desk.begin(*TRAIN, "--name", f"run{moment}")
        wait_until_heard(process)
        time.sleep(0.2 * moment)  # somewhere between its first line and its first steps
        return end_of(process, list(CODES)[moment % 2])

    with ThreadPoolExecutor(2) as two:
        ends = list(two.map(stopped, range(12)))
    assert all(end == NOT_BEGUN or end.endswith(GOES_ON) for end in ends)
    assert ends[0] == NOT_BEGUN
    assert not list(desk.folder.rglob("*.unfinished"))


def test_a_study_that_is_stopped_before_its_trials_says_nothing_of_checkpoints(desk: Desk) -> None:
    study = desk.begin(*TWO_RUNS)
    wait_until(lambda: desk.servers(), WAIT_SECONDS, "its server")
    assert end_of(study, signal.SIGTERM) == f"study: stopped; what was done is kept, and {GOES_ON}"
    wait_until_nothing_is_left(desk)
    assert not list(desk.folder.glob("outputs/mini-*"))


# A second signal


def test_a_second_signal_kills_the_runs_of_a_study(desk: Desk) -> None:
    study = desk.begin(*ONE_RUN)
    (run,) = wait_until(lambda: desk.trials_at_work(), WAIT_SECONDS, "a run that begins")
    freeze(run)
    study.send_signal(signal.SIGTERM)
    wait_until(lambda: held(run, "ShdPnd"), what="the study to ask its run")
    end = end_of(study, signal.SIGINT)
    assert end.startswith("study: stopped at once, and what ran was killed; the same command goes on")
    wait_until_nothing_is_left(desk)


def test_a_second_signal_kills_agents_and_trials_with_and_without_an_agent(desk: Desk) -> None:
    study = desk.begin(*TWO_RUNS)
    runs = wait_until(lambda: len(found := desk.trials_at_work()) == 2 and found, WAIT_SECONDS, "two runs that begin")
    lost = desk.agents()[0]
    os.kill(lost, signal.SIGKILL)
    # Only then: the system ends what was frozen in a group that loses its parent.
    wait_until(lambda: all(parent_of(run) != lost for run in runs), what="an agent to be lost, with all its threads")
    for run in runs:
        freeze(run)
    study.send_signal(signal.SIGINT)
    wait_until(lambda: any(held(run, "ShdPnd") for run in runs), what="the study to ask its runs")
    assert "stopped at once" in end_of(study, signal.SIGTERM)
    wait_until_nothing_is_left(desk)


def test_signals_to_a_study_that_is_ending_change_nothing(desk: Desk) -> None:
    study = desk.begin(*ONE_RUN)
    wait_until(lambda: len(desk.steps(TINY)) > 1, WAIT_SECONDS, "a run that trains")
    study.send_signal(signal.SIGTERM)
    assert study.stderr is not None
    for line in study.stderr:
        if line.startswith("study: stopped; the same command goes on"):
            break
    while study.poll() is None:
        study.send_signal(signal.SIGTERM)
        time.sleep(0.002)
    assert study.communicate()[1] == ""
    assert study.returncode == CODES[signal.SIGTERM]
    wait_until_nothing_is_left(desk)
    assert any(desk.folder.glob(f"outputs/{TINY}/checkpoints/step-*"))


def test_a_process_that_is_being_started_is_known_before_a_signal_comes() -> None:
    started = []

    def start(name: str) -> None:
        with signals_wait():
            signal.raise_signal(signal.SIGTERM)
            started.append(name)

    with pytest.raises(Terminated), Signals("study: stopped"):
        start("an agent")
    assert started == ["an agent"]


# Other commands


def test_a_plan_that_is_stopped_leaves_no_process(desk: Desk) -> None:
    plan = desk.begin("plan", *DATA, "--seconds", "600")
    assert plan.stderr is not None
    assert any("trying" in line for line in iter(plan.stderr.readline, ""))
    assert end_of(plan, signal.SIGTERM) == "plan: stopped before its end; run it again"
    wait_until_nothing_is_left(desk)


@BOTH
def test_a_report_that_is_stopped_says_so(desk: Desk, number: signal.Signals) -> None:
    report = desk.begin("report")
    wait_until_heard(report)
    assert end_of(report, number) == NOT_BEGUN


@pytest.fixture
def prepare(desk: Desk) -> Process:
    """`data prepare` that has converted some music, and has a lot before it."""
    for book in range(24):
        path = desk.folder / "tunes" / f"{book:02}.abc"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(TUNE.format(number=1000 * book + number) for number in range(900)))
    process = desk.begin("data", "prepare", "--input", "tunes", "--out", "out")
    kept = desk.folder / ".out.converted" / "converted.jsonl"
    wait_until(lambda: kept.exists() and kept.stat().st_size, WAIT_SECONDS, "converted music")
    return process


def test_a_preparation_that_is_stopped_says_that_it_goes_on(desk: Desk, prepare: Process) -> None:
    assert end_of(prepare, signal.SIGINT) == f"data prepare: stopped; what was done is kept, and {GOES_ON}"
    wait_until_nothing_is_left(desk)
    assert not (desk.folder / "out").exists()


def test_a_preparation_that_is_asked_twice_does_not_wait_for_its_workers(desk: Desk, prepare: Process) -> None:
    for worker in desk.processes():
        if b"spawn_main" in Path(f"/proc/{worker}/cmdline").read_bytes():
            freeze(worker)
    while prepare.poll() is None:
        prepare.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    _, said = prepare.communicate(timeout=WAIT_SECONDS)
    assert prepare.returncode == 75
    assert f"data prepare: stopped; what was done is kept, and {GOES_ON}\n" in said
    wait_until_nothing_is_left(desk)


@BOTH
def test_a_server_ends_well(desk: Desk, number: signal.Signals) -> None:
    server = desk.begin("server")
    assert server.stdout is not None
    assert server.stdout.readline().startswith("export")
    server.send_signal(number)
    _, said = server.communicate(timeout=WAIT_SECONDS)
    assert server.returncode == 0, said
