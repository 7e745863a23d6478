"""W&B failing in the middle of a real training, by the real SDK: the run is none the worse, and W&B has it in the end.

A server that refuses or hangs from the beginning, and the SDK's own service killed: tests/tracking/test_wandb.py. One
that dies and comes back: tests/tracking/test_mirror.py.
"""

import signal

import pytest
from faulty_way import CUT, HANG, faulty_way
from servers import RunningServer, wait_until
from trainings import MANY_STEPS, SLOWLY, Training

pytestmark = pytest.mark.slow


def test_errors_hanging_sockets_and_cut_answers_cost_no_row(training: Training, server: RunningServer) -> None:
    training.steps = MANY_STEPS
    with faulty_way(server, (500, CUT, 429, HANG, 503, CUT)) as address:
        said = training.finish(WANDB_BASE_URL=address)
    assert "Traceback" not in said
    assert "W&B failed" not in said
    (run,) = training.on_server()
    assert run["state"] == "finished"
    assert run["rows"] == training.journal()
    assert len(run["rows"]) == MANY_STEPS


def test_a_server_that_never_answers_again_ends_in_time_and_what_it_lacks_is_sent_later(
    training: Training, server: RunningServer
) -> None:
    training.steps = MANY_STEPS
    process = training.start()
    training.wait_for_rows(20)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert process.returncode == 0
    assert "warning: W&B failed" in said
    assert len(training.journal()) == MANY_STEPS
    assert training.results()["state"] == "complete"
    assert "W&B lacks a part of this run; once it answers, the same command sends that" in said
    assert training.results()["wandb_complete"] is False
    said = training.finish()
    assert "W&B" not in said
    assert training.results()["wandb_complete"] is True
    (run,) = training.on_server()
    assert (run["id"], run["state"]) == (training.results()["wandb_id"], "finished")
    assert run["rows"] == training.journal()


def test_a_second_signal_ends_at_once_a_run_that_still_waits_for_wandb(
    training: Training, server: RunningServer
) -> None:
    process = training.start(*SLOWLY)
    training.wait_for_rows(20)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: training.results()["state"] == "stopped", what="the checkpoint")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    finally:
        server.process.send_signal(signal.SIGCONT)
    # The code of the second; and it was not waited until W&B was given up.
    assert process.returncode == 130
    assert "W&B failed" not in said
    training.finish()
    (run,) = training.on_server()
    assert run["rows"] == training.journal()
