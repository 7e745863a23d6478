"""Our AdamW beside torch.optim's: the same weights to the last bit, and states that either takes from the other."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_runs import MakeConfig

from scaling_lab.config import dump_yaml
from scaling_lab.training.optimizer import AdamW, Group

BETAS, DECAY, RATE = (0.9, 0.95), 0.1, 3e-3


def make_parameters() -> list[torch.nn.Parameter]:
    source = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(*shape, generator=source)) for shape in ((64, 48), (7, 3), (5,))]


def ours(parameters: list[torch.nn.Parameter]) -> AdamW:
    return AdamW([Group(parameters[:2], DECAY, 0.5), Group(parameters[2:], 0.0)], RATE, BETAS)


def theirs(parameters: list[torch.nn.Parameter]) -> torch.optim.AdamW:
    groups = [
        {"params": parameters[:2], "lr": RATE * 0.5, "weight_decay": DECAY},
        {"params": parameters[2:], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=RATE, betas=BETAS, fused=True)


def take_steps(optimizer: AdamW | torch.optim.AdamW, parameters: list[torch.nn.Parameter], steps: range) -> None:
    for step in steps:
        source = torch.Generator().manual_seed(step)
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=source)
        optimizer.step()
        optimizer.zero_grad()


def assert_same(one: list[torch.nn.Parameter], other: list[torch.nn.Parameter]) -> None:
    assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))


def test_weights_are_those_of_torchs_adamw_to_the_last_bit() -> None:
    one, other = make_parameters(), make_parameters()
    take_steps(ours(one), one, range(30))
    take_steps(theirs(other), other, range(30))
    assert_same(one, other)


@pytest.mark.parametrize("goes_on", [ours, theirs])
@pytest.mark.parametrize("begins", [ours, theirs])
def test_a_state_is_gone_on_with_by_either(begins: type, goes_on: type) -> None:
    one, other = make_parameters(), make_parameters()
    take_steps(ours(one), one, range(20))
    first = begins(other)
    take_steps(first, other, range(10))
    second = goes_on(other)
    second.load_state_dict({**second.state_dict(), "state": first.state_dict()["state"]})
    take_steps(second, other, range(10, 20))
    assert_same(one, other)


def test_a_step_that_is_told_of_an_infinity_changes_nothing() -> None:
    one, other = make_parameters(), make_parameters()
    optimizer = ours(one)
    optimizer.found_inf = diverged = torch.zeros(())
    take_steps(optimizer, one, range(5))
    diverged.fill_(1.0)
    take_steps(optimizer, one, range(5, 9))
    diverged.fill_(0.0)
    take_steps(optimizer, one, range(9, 12))
    # As if those steps had never been.
    plain = ours(other)
    take_steps(plain, other, range(5))
    take_steps(plain, other, range(9, 12))
    assert_same(one, other)


@pytest.mark.slow
def test_a_run_starts_without_torchs_compiler(small_run: MakeConfig, folder: Path) -> None:
    (folder / "run.yaml").write_text(dump_yaml(small_run()))
    source = "import sys\nfrom pathlib import Path\nfrom scaling_lab.config import load_config\n"
    source += "from scaling_lab.training.loop import train\n"
    source += "train(load_config(Path('run.yaml'), environ={}))\nprint('torch._dynamo' in sys.modules)\n"
    ended = subprocess.run([sys.executable, "-c", source], cwd=folder, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "False"), ended.stderr
