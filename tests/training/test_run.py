"""A run from its config to its results, in process."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors import torch as safetensors_torch

from scaling_lab.config import RunConfig, load_config
from scaling_lab.errors import ConfigError, UsageError
from scaling_lab.history.figures import figures_of
from scaling_lab.history.runs import RunRecord, read_run
from scaling_lab.model.transformer import Transformer
from scaling_lab.tracking import metrics
from scaling_lab.tracking.journal import read_journal
from scaling_lab.training.checkpoint import load_tensors
from scaling_lab.training.loop import train

MakeConfig = Callable[..., RunConfig]


def untimed_rows(record: RunRecord) -> list[dict[str, Any]]:
    rows = read_journal(record.folder / "metrics.jsonl")
    return [{name: value for name, value in row.items() if name not in metrics.TIMED_METRICS} for row in rows]


def test_a_run_learns_and_leaves_everything_the_guide_names(small_run: MakeConfig) -> None:
    record = train(small_run())
    assert record.state == "complete"
    names = {"best_model.pt", "training_results.json", "metrics.json", "metrics.jsonl", "config.yaml", "checkpoints"}
    assert names <= {path.name for path in record.folder.iterdir()}
    assert record.evaluations[metrics.VAL_LOSS][-1] < record.training[metrics.TRAIN_LOSS][0] - 0.2
    assert len(record.training[metrics.TRAIN_STEP]) == record.results["steps"] == 20


def test_every_step_logs_every_metric_of_the_style(small_run: MakeConfig) -> None:
    record = train(small_run())
    training = [row for row in read_journal(record.folder / "metrics.jsonl") if metrics.TRAIN_LOSS in row]
    assert all(tuple(row) == metrics.TRAINING_METRICS for row in training)
    assert all(0 < row[metrics.MFU] < 1.5 for row in training)
    tokens = [row[metrics.TRAIN_TOKENS] for row in training]
    assert tokens == [256 * step for step in range(1, 21)]


def test_the_saved_config_is_the_run(small_run: MakeConfig) -> None:
    config = small_run()
    record = train(config)
    assert load_config(record.folder / "config.yaml", environ={}) == config


def test_results_say_what_the_journal_says(small_run: MakeConfig) -> None:
    record = train(small_run())
    results = record.results
    assert results["final_val_loss"] == record.evaluations[metrics.VAL_LOSS][-1]
    assert results["best_val_loss"] == record.evaluations[metrics.VAL_LOSS].min()
    assert results["final_train_loss"] == record.training[metrics.TRAIN_LOSS][-1]
    assert results["total_flops"] == pytest.approx(record.training[metrics.TRAIN_FLOPS][-1], rel=0.05)
    columns = json.loads((record.folder / "metrics.json").read_text())
    assert columns["training"][metrics.TRAIN_LOSS] == record.training[metrics.TRAIN_LOSS].tolist()


def test_bits_count_every_token_over_what_the_texts_measure(small_run: MakeConfig) -> None:
    config = small_run()
    path = Path("music/val/data.json")
    # A character of two bytes in each text, which its tokens know nothing of.
    records = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(record | {"abc": record["abc"] + "é"}) + "\n" for record in records))
    record = train(config)
    characters = sum(len(record["abc"]) + 1 for record in records)
    notes = sum(letter in "ABCDEFGabcdefg" for record in records for letter in record["abc"])
    n_scored = sum(len(record["tokens"]) + 1 for record in records)  # one end of tune each
    bits = record.results["final_val_loss"] * n_scored / np.log(2)
    for name, count in (("character", characters), ("byte", characters + len(records)), ("note", notes)):
        assert record.results[f"bits_per_{name}"] == pytest.approx(bits / count, rel=1e-9)
        assert record.evaluations[f"val/bits_per_{name}"][-1] == record.results[f"bits_per_{name}"]


def test_without_texts_there_are_no_bits_over_them(small_run: MakeConfig) -> None:
    config = small_run()
    path = Path("music/val/data.json")
    lines = path.read_text().splitlines()
    path.write_text("".join(f'{{"tokens": {json.loads(line)["tokens"]}}}\n' for line in lines))
    results = train(config).results
    assert [results[f"bits_per_{name}"] for name in ("character", "byte", "note")] == [None] * 3


def test_a_journal_of_before_bits_a_byte_and_a_note_is_still_read(small_run: MakeConfig) -> None:
    record = train(small_run())
    journal = record.folder / "metrics.jsonl"
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    new = {metrics.BITS_PER_BYTE, metrics.BITS_PER_NOTE}
    journal.write_text("".join(json.dumps({k: v for k, v in row.items() if k not in new}) + "\n" for row in rows))
    again = read_run(record.folder)
    assert again.evaluations[metrics.BITS_PER_CHARACTER].tolist() == (
        record.evaluations[metrics.BITS_PER_CHARACTER].tolist()
    )
    assert np.isnan(again.evaluations[metrics.BITS_PER_NOTE]).all()
    figures = figures_of(again.training, again.evaluations)
    assert (figures["bits_per_byte"], figures["bits_per_note"]) == (None, None)


def test_the_same_seed_gives_the_same_journal_but_for_times(small_run: MakeConfig) -> None:
    first, second, other = (train(small_run(name=name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert untimed_rows(first) == untimed_rows(second)
    assert untimed_rows(first) != untimed_rows(other)


def test_the_best_weights_are_there_for_other_programs_too(small_run: MakeConfig) -> None:
    folder = train(small_run()).folder
    content = load_tensors(folder / "best_model.pt")
    weights = safetensors_torch.load_file(folder / "best_model.safetensors")
    assert weights.keys() == content["model"].keys()
    assert all(torch.equal(weights[name], content["model"][name]) for name in weights)
    with safe_open(folder / "best_model.safetensors", "pt") as file:
        facts = {name: json.loads(text) for name, text in file.metadata().items()}
    assert facts == {name: value for name, value in content.items() if name != "model"}


def test_micro_batch_size_changes_no_loss(small_run: MakeConfig) -> None:
    whole = train(small_run(name="whole"))
    cut = train(small_run(name="cut", **{"machine.micro_batch_tokens": 64}))
    assert cut.training[metrics.TRAIN_LOSS] == pytest.approx(whole.training[metrics.TRAIN_LOSS], rel=2e-5)


def test_the_learning_rate_rises_then_falls_to_the_runs_own_end(small_run: MakeConfig) -> None:
    record = train(small_run(**{"recipe.warmup_fraction": 0.2}))
    rates = record.training[metrics.LEARNING_RATE]
    assert rates.argmax() in (3, 4)
    assert rates[0] == pytest.approx(3e-3 / 4)
    assert 0 < rates[-1] < 3e-3 * 0.02


def test_a_complete_run_is_returned_not_trained_again(small_run: MakeConfig) -> None:
    record = train(small_run())
    before = (record.folder / "metrics.jsonl").stat().st_mtime_ns
    assert train(small_run()).results == record.results
    assert (record.folder / "metrics.jsonl").stat().st_mtime_ns == before


def test_another_run_in_the_same_folder_is_refused_with_the_fields_that_differ(small_run: MakeConfig) -> None:
    train(small_run(name="mine"))
    with pytest.raises(UsageError) as refused:
        train(small_run(name="mine", **{"recipe.learning_rate": 1e-3, "model.d_ff": 64}))
    assert "recipe.learning_rate was 0.003 and is now 0.001" in str(refused.value)
    assert "model.d_ff was 32 and is now 64" in str(refused.value)


def test_a_budget_below_one_batch_is_a_config_error(small_run: MakeConfig) -> None:
    with pytest.raises(ConfigError, match="there is no step"):
        train(small_run(**{"recipe.tokens": None, "recipe.batch_size_tokens": 10**7}))


def test_the_best_model_can_be_built_again_and_scores_the_same(small_run: MakeConfig) -> None:
    record = train(small_run())
    saved = load_tensors(record.folder / "best_model.pt")
    config = small_run().model.model_validate(saved["config"])
    model = Transformer(config, saved["vocab_size"], seed=None)
    model.load_state_dict(saved["model"])
    assert saved["loss"] == record.results["best_val_loss"]
    assert torch.isfinite(model(torch.arange(8), [8])).all()


def test_twenty_steps_of_mini_tiny_follow_the_golden_losses(folder: Path) -> None:
    """fp32 on music21's core. Threads and instruction sets moved a loss by 2e-7; the tolerance is fifty times that."""
    golden = json.loads((Path(__file__).parent / "golden_loss.json").read_text())
    config = load_config(
        size="tiny",
        ladder="mini",
        overrides=[
            f"recipe.tokens={20 * 4096}",
            "machine.precision=fp32",
            "machine.threads=1",
            "tracking.mode=disabled",
        ],
        environ={},
    )
    record = train(config)
    assert record.results["data"]["fingerprint"] == golden["data_fingerprint"]
    np.testing.assert_allclose(record.training[metrics.TRAIN_LOSS], golden["train_loss"], rtol=golden["tolerance"])
