"""Training as a GPU does it, a step ahead of what is told, on a machine that only pretends to be one."""

from collections.abc import Callable
from dataclasses import fields

import packed_kernel  # noqa: F401 - a textbook in its kernel's place
import pytest
import torch

from scaling_lab.config import RunConfig
from scaling_lab.data.configured import open_configured
from scaling_lab.errors import DivergedError
from scaling_lab.model import transformer
from scaling_lab.model.packed import packed_attention
from scaling_lab.training.device import Machine, choose_machine
from scaling_lab.training.distributed import World
from scaling_lab.training.learner import Learner, StepTaken
from scaling_lab.training.plan import plan_run

MakeConfig = Callable[..., RunConfig]


class PretendedGpu(Machine):
    """A CPU that is treated as a GPU, but for memory and events, which only a GPU has."""

    @property
    def on_gpu(self) -> bool:
        return True

    def micro_batch_bytes(self) -> int:
        return 2**20


def learner(config: RunConfig, *, gpu: bool) -> Learner:
    machine = choose_machine(config.machine)
    if gpu:
        machine = PretendedGpu(**{field.name: getattr(machine, field.name) for field in fields(machine)})
    dataset = open_configured(config.data)
    return Learner(config, dataset, plan_run(config, dataset), machine, World.alone())


def steps(learner: Learner, count: int) -> list[StepTaken]:
    return [learner.take_step(step, lambda: None) for step in range(count)]


@pytest.fixture
def small_gpu_run(small_run: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> MakeConfig:
    monkeypatch.setattr(transformer, "attention_within_pieces", packed_attention)
    return lambda **changes: small_run(**{"machine.compile": False, "machine.micro_batch_tokens": 100, **changes})


def test_losses_are_those_of_a_cpu(small_run: MakeConfig, small_gpu_run: MakeConfig) -> None:
    ahead = learner(small_gpu_run(), gpu=True)
    told = steps(ahead, 12)
    evaluation = ahead.evaluate(open_configured(small_run().data).val, lambda: None)
    with pytest.MonkeyPatch.context() as undone:
        undone.undo()
        config = small_run()
        plain = learner(config, gpu=False)
        expected = steps(plain, 12)
    for taken, other in zip(told, expected, strict=True):
        assert taken.lengths == other.lengths
        assert taken.loss == pytest.approx(other.loss, rel=1e-5)
        assert taken.grad_norm == pytest.approx(other.grad_norm, rel=1e-4)
    expected_loss = plain.evaluate(open_configured(config.data).val, lambda: None).loss
    assert evaluation.loss == pytest.approx(expected_loss, rel=1e-5)


def test_a_step_is_told_while_the_next_is_under_way(small_gpu_run: MakeConfig) -> None:
    waited, ahead = learner(small_gpu_run(), gpu=True), learner(small_gpu_run(), gpu=True)
    expected = [taken.loss for taken in steps(waited, 3)]
    told = []
    for step in range(3):
        ahead.begin_step(step, lambda: None)
        told.append([taken.loss for taken in ahead.steps_taken()])
    assert told == [[], expected[:1], expected[1:2]]
    assert [taken.loss for taken in ahead.steps_taken(all_of_them=True)] == expected[2:]


def test_no_step_after_one_that_diverged_changes_a_weight(small_gpu_run: MakeConfig) -> None:
    ahead = learner(small_gpu_run(), gpu=True)
    steps(ahead, 2)
    name = "blocks.0.mlp.up.weight"
    weight = ahead.model.get_parameter(name)
    kept = weight[0, 0].item()
    with torch.no_grad():
        weight[0, 0] = torch.nan
    before = {name: value.clone() for name, value in ahead.model.state_dict().items()}
    ahead.begin_step(2, lambda: None)
    with torch.no_grad():
        weight[0, 0] = before[name][0, 0] = kept
    ahead.begin_step(3, lambda: None)
    with pytest.raises(DivergedError, match=r"step 3: loss nan.*the weights were not touched"):
        list(ahead.steps_taken())
    for name, value in ahead.model.state_dict().items():
        assert torch.equal(value, before[name])
