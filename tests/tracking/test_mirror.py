"""The mirror, by the real SDK against a local server: whatever befalls a run, W&B ends with the journal's rows."""

import os
import signal

import pytest
from servers import RunningServer, wait_until
from trainings import MANY_STEPS, N_EVALUATIONS, SLOWLY, Training

from scaling_lab.localserver import serving
from scaling_lab.tracking.metrics import TRAIN_STEP, VAL_LOSS

pytestmark = pytest.mark.slow


def test_a_run_without_an_account_leaves_every_row_on_a_server_of_its_own(training: Training) -> None:
    home = training.folder / "nobody"
    home.mkdir()
    nobody = {"HOME": str(home), "WANDB_BASE_URL": "", "WANDB_API_KEY": "", "WANDB_CACHE_DIR": "", "WANDB_DATA_DIR": ""}
    said = training.finish(**nobody)
    assert "W&B failed" not in said
    assert training.results()["wandb_mode"] == "local"
    assert {path.name for path in home.iterdir()} <= {".cache", ".local"}  # the SDK's own logs and cache
    with serving(training.folder / "outputs" / "local-wandb") as own:
        (run,) = training.on_server(**own.environment())
    assert run["state"] == "finished"
    assert run["rows"] == training.journal()
    assert len(run["rows"]) == training.steps


def test_config_and_summary_say_what_the_results_say(training: Training) -> None:
    training.finish()
    results = training.results()
    (run,) = training.on_server()
    config = run["config"]
    for name in ("ladder", "size", "seed", "parameters", "flops_per_token", "total_flops", "steps", "tokens", "epochs"):
        assert config[name] == results[name]
    for name in ("data", "machine", "versions", "git_commit", "identity", "schema_version"):
        assert config[name] == results[name]
    assert config["recipe"] == results["config"]["recipe"]
    named = ("state", "started_at", "updated_at", "peak_memory_bytes")
    assert run["summary"]["result"] == {name: results[name] for name in named}
    assert run["summary"][VAL_LOSS] == {"min": results["best_val_loss"]}
    fingerprint = results["data"]["fingerprint"]
    assert (run["name"], run["group"], run["type"]) == ("mine", f"mini-{fingerprint}", "train")
    assert sorted(run["tags"]) == sorted(["tiny", "mini", fingerprint])
    assert (results["wandb_id"], results["wandb_entity"], results["wandb_project"], results["wandb_sweep"]) == (
        run["id"],
        "local",
        "music-scaling",
        None,
    )
    assert results["wandb_url"].endswith(f"/local/music-scaling/runs/{run['id']}")


@pytest.mark.parametrize("checkpoint_every_seconds", ["86400", "0.2"], ids=["server ahead", "checkpoint ahead"])
def test_a_killed_run_goes_on_with_no_row_lost_doubled_or_changed(
    training: Training, checkpoint_every_seconds: str
) -> None:
    every = ("-o", f"machine.checkpoint_every_seconds={checkpoint_every_seconds}")
    process = training.start(*every, *SLOWLY)
    training.wait_for_rows(20)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed = training.journal()
    (before,) = training.on_server()
    assert before["rows"] == killed[: len(before["rows"])]
    assert len(killed) < training.steps

    training.finish(*every)
    (run,) = training.on_server()
    assert run["id"] == before["id"]
    assert run["state"] == "finished"
    assert run["rows"] == training.journal()
    assert [row[TRAIN_STEP] for row in run["rows"]] == list(range(1, training.steps + 1))
    assert run["rows"][: len(before["rows"])] == before["rows"]


def test_a_new_wandb_run_for_a_folder_that_has_trained_half_gets_the_whole_history(training: Training) -> None:
    process = training.start(*SLOWLY)
    wait_until(lambda: (training.run_dir / "metrics.jsonl").exists() and len(training.journal()) > 50)
    process.send_signal(signal.SIGTERM)
    process.wait()
    training.finish(WANDB_RUN_ID="another")
    first, second = training.on_server()
    assert first["state"] == "preempted"
    assert second["id"] == training.results()["wandb_id"] == "another"
    assert second["rows"] == training.journal()
    assert second["rows"][: len(first["rows"])] == first["rows"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stopped_run_is_preempted_and_goes_on_as_the_same_one(
    training: Training, number: signal.Signals, code: int
) -> None:
    process = training.start(*SLOWLY)
    training.wait_for_rows(20)
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert "the same command goes on" in said
    (stopped,) = training.on_server()
    assert stopped["state"] == "preempted"
    # Stopped in an evaluation, the step's row waits for it, and nothing else does: W&B takes no second part of a row.
    rows = training.journal()
    waits = rows[-1]["train/step"] % (training.steps // N_EVALUATIONS) == 0 and "val/loss" not in rows[-1]
    assert stopped["rows"] == (rows[:-1] if waits else rows)
    assert stopped["summary"]["result"]["state"] == "stopped"
    training.finish()
    (run,) = training.on_server()
    assert (run["id"], run["state"]) == (stopped["id"], "finished")
    assert run["rows"] == training.journal()
    assert len(run["rows"]) == training.steps


def test_a_run_stopped_while_its_server_hangs_ends_in_time_and_says_so(
    training: Training, server: RunningServer
) -> None:
    process = training.start(*SLOWLY)
    training.wait_for_rows(20)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        server.process.send_signal(signal.SIGCONT)
    assert process.returncode == 75
    assert "warning: W&B failed" in said
    assert training.results()["state"] == "stopped"
    training.finish()
    (run,) = training.on_server()
    assert run["rows"] == training.journal()


def test_a_server_killed_and_started_again_mid_run_has_every_row(training: Training, server: RunningServer) -> None:
    training.steps = MANY_STEPS
    process = training.start()
    training.wait_for_rows(20)
    server.stop(signal.SIGKILL)
    rows = len(training.journal())
    wait_until(lambda: len(training.journal()) > rows + 20)
    server.start()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    (run,) = training.on_server()
    assert run["rows"] == training.journal()
    assert len(run["rows"]) == training.steps


def test_a_plain_repeat_of_a_complete_run_touches_nothing(training: Training) -> None:
    training.finish()
    before = {path: path.stat().st_mtime_ns for path in training.run_dir.rglob("*") if path.name != ".lock"}
    training.finish(WANDB_RUN_ID="another")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(training.on_server()) == 1
    assert os.listdir(training.run_dir / "wandb")
