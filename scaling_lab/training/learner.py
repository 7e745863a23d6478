"""One optimizer step: batch, loss, backward, clip, finite?, update. Nothing here is about files or W&B.

A GPU is never waited for: a step is begun while the one before it is still worked on, and what it gave is told a step
later. So whether a step was finite is the GPU's own to find: from the first that was not, no step changes a weight.
"""

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from scaling_lab.config.schema import RunConfig
from scaling_lab.data.batches import Batch, TrainingStream
from scaling_lab.data.dataset import Dataset, PackedSplit
from scaling_lab.errors import DivergedError, UsageError
from scaling_lab.model.transformer import Transformer
from scaling_lab.training import sharding
from scaling_lab.training.compiled import compile_blocks, compiler_failed
from scaling_lab.training.device import Machine, Moment
from scaling_lab.training.distributed import World
from scaling_lab.training.evaluation import Evaluation, evaluate
from scaling_lab.training.optimizer import build_optimizer
from scaling_lab.training.parametrization import scale_weights, width_ratio
from scaling_lab.training.plan import RunPlan
from scaling_lab.training.schedule import learning_rate_at


@dataclass(frozen=True)
class StepTaken:
    """What a step gave: lengths of its pieces, loss (nats a token), gradient norm before clipping, rate, seconds."""

    lengths: list[int]
    loss: float
    grad_norm: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class _StepBegun:
    """A step that the device may still be working on; its 0-based number, and loss and gradient norm in one tensor."""

    step: int
    lengths: list[int]
    learning_rate: float
    figures: torch.Tensor
    begin: Moment
    end: Moment

    def taken(self) -> StepTaken:
        self.end.wait()
        loss, grad_norm = self.figures.tolist()
        return StepTaken(self.lengths, loss, grad_norm, self.learning_rate, self.end.seconds_since(self.begin))


class Learner:
    """A model with its optimizer and the line of tokens it reads; in a world of several, one process's share of it.

    Attributes:
        micro_batch_tokens: at most so many tokens are worked on at once; fewer than planned once memory ran out.
    """

    def __init__(self, config: RunConfig, dataset: Dataset, plan: RunPlan, machine: Machine, world: World) -> None:
        self.config, self.plan, self.machine, self.world = config, plan, machine, world
        self.micro_batch_tokens = plan.micro_batch_tokens
        ratio = width_ratio(config)
        self.model = Transformer(config.model, dataset.vocab_size, config.seed)
        scale_weights(self.model, ratio)
        if world.sharded:
            sharding.shard_model(self.model, machine.device, world.size)
        else:
            self.model.to(machine.device)
        self.optimizer = build_optimizer(self.model, config.recipe, ratio)
        # A sharded model's steps are taken by all together, so by nobody ahead.
        self._ahead = machine.on_gpu and not world.sharded
        self._begun: deque[_StepBegun] = deque()
        self._diverged = torch.zeros((), device=machine.device)
        if self._ahead:
            self.optimizer.found_inf = self._diverged
            if config.machine.compile:
                compile_blocks(self.model)
        self.stream = TrainingStream(
            dataset.train, config.recipe.batch_size_tokens, config.data.sequence_length, config.seed
        )

    def weights(self) -> dict[str, torch.Tensor]:
        """The model's weights, whole. Of a sharded model all processes must ask at once; the first alone gets them."""
        return self._whole(self.model.state_dict())

    def state(self) -> dict[str, Any]:
        """What `load` takes: weights, the optimizer's running means, and the micro-batch, which rounding depends on.

        Of a sharded model as of `weights`.
        """
        return {
            "model": self.weights(),
            "optimizer": self._whole(self.optimizer.state_dict()),
            "micro_batch_tokens": self.micro_batch_tokens,
        }

    def _whole(self, state: dict[str, Any]) -> dict[str, Any]:
        return sharding.whole(state, kept=self.world.leads) if self.world.sharded else state

    def load(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        if self.world.sharded:
            sharding.load_weights(self.model, state["model"])
            sharding.load_optimizer(self.optimizer, state["optimizer"])
        else:
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
        self.micro_batch_tokens = min(self.micro_batch_tokens, state.get("micro_batch_tokens", self.micro_batch_tokens))

    def micro_batches(self, batch: Batch) -> list[Batch]:
        """This process's share of a batch, in parts that memory holds."""
        if self._ahead:
            least = -(-len(batch.tokens_M) // self.micro_batch_tokens)
            count = -(-least // self.world.size) * self.world.size
            return batch.even_micro_batches(count)[self.world.rank :: self.world.size]
        shares = batch.share(self.world.rank, self.world.size, self.plan.micro_batch_tokens)
        return list(
            self.world.evened(micro for share in shares for micro in share.micro_batches(self.micro_batch_tokens))
        )

    def evaluate(self, split: PackedSplit, may_stop: Callable[[], None]) -> Evaluation:
        """Score the whole split; `may_stop` may raise before any batch."""
        return evaluate(
            self.model,
            split,
            self.machine,
            self.config.data.sequence_length,
            self.micro_batch_tokens,
            between_batches=may_stop,
            world=self.world,
        )

    def take_step(self, step: int, may_stop: Callable[[], None]) -> StepTaken:
        """Take one step and wait for it; nothing may be under way."""
        self.begin_step(step, may_stop)
        (taken,) = self.steps_taken(all_of_them=True)
        return taken

    def begin_step(self, step: int, may_stop: Callable[[], None]) -> None:
        """Take one step (0-based); a GPU may still be at it when this returns.

        `may_stop` may raise before any micro-batch; the weights are then untouched.

        Raises:
            DivergedError: if loss or gradient became NaN or infinite; the weights are untouched. Of a GPU's, later.
            UsageError: if a micro-batch of one piece is more than memory holds.
        """
        begin = Moment(self.machine)
        batch = self.stream.batch(step)
        learning_rate = learning_rate_at(step, self.plan.n_steps, self.config.recipe)
        self.optimizer.learning_rate = learning_rate
        loss = self._gradient_that_fits(batch, may_stop)
        figures = self.update(step, loss).to("cpu", non_blocking=True)
        self._begun.append(_StepBegun(step, batch.lengths, learning_rate, figures, begin, Moment(self.machine)))

    def steps_taken(self, *, all_of_them: bool = False) -> Iterator[StepTaken]:
        """What was begun and is done, each told once; of a GPU's all but the newest, which is worked on still.

        Raises:
            DivergedError: as above, of a GPU's; nor did any step after that one change a weight.
        """
        while len(self._begun) > (self._ahead and not all_of_them):
            begun = self._begun.popleft()
            taken = begun.taken()
            if self._ahead:
                self._require_finite(begun.step + 1, begun.figures)
            yield taken

    def update(self, step: int, loss: torch.Tensor) -> torch.Tensor:
        """Clip the gradient that is there, update the weights by it, and drop it. Raises as above.

        Returns loss and gradient norm before clipping, in one tensor.
        """
        grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.recipe.grad_clip)
        if self.world.sharded:
            grad_norm = sharding.whole(grad_norm).to(loss.device)
        figures = torch.stack((loss, grad_norm))
        if self._ahead:
            self._diverged.logical_or_(~figures.isfinite().all())
        else:
            self._require_finite(step + 1, figures)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return figures

    def _gradient_that_fits(self, batch: Batch, may_stop: Callable[[], None]) -> torch.Tensor:
        """The same as below, in smaller micro-batches each time that memory runs out. Raises UsageError."""
        while True:
            try:
                loss = self._accumulate_gradient(batch, may_stop)
            except (RuntimeError, MemoryError) as error:
                if compiler_failed(error):
                    reason = str(error).strip().splitlines()[0][:300]
                    raise UsageError(
                        f"{self.config.run_dir}: torch.compile failed ({reason}); install a C compiler and Triton, or "
                        "give -o machine.compile=false"
                    ) from None
                # A sharded model's others are in the middle of the same pass.
                if self.world.sharded or not _ran_out_of_memory(error):
                    raise
                reason = str(error)
            else:
                self.world.add_up(self.model, loss)
                return loss
            # Only here is the error gone, and with it all that its traceback held.
            self.optimizer.zero_grad()
            self.machine.free_memory()
            self._shrink(max(batch.lengths), reason)

    def _shrink(self, longest: int, reason: str) -> None:
        if self.micro_batch_tokens <= longest:
            raise UsageError(
                f"{self.config.run_dir}: memory ran out over a single piece of {longest:,} tokens ({reason}); "
                "give a smaller data.sequence_length or size, or a machine with more memory"
            )
        before, self.micro_batch_tokens = self.micro_batch_tokens, max(longest, self.micro_batch_tokens // 2)
        print(
            f"warning: {self.config.run_name}: memory ran out with micro-batches of {before:,} tokens; going on with "
            f"{self.micro_batch_tokens:,}, which changes no loss beyond rounding",
            file=sys.stderr,
        )

    def _accumulate_gradient(self, batch: Batch, may_stop: Callable[[], None]) -> torch.Tensor:
        """This process's share of the batch's mean loss (nats a token, on the device), its gradient in the parameters.

        Each micro-batch adds its sum over the batch's own number of targets, so how it was cut, and who did which,
        changes nothing.
        """
        n_targets = batch.n_targets
        total = torch.zeros((), device=self.machine.device)
        micros = self.micro_batches(batch)
        # Within one context a weight is cast once, not once for each micro-batch; a shard's weights come and go.
        with contextlib.nullcontext() if self.world.sharded else self.machine.autocast():
            for number, micro in enumerate(micros, 1):
                may_stop()
                micro = micro.padded().to(self.machine.device)
                if self.world.sharded:
                    sharding.sum_gradients(self.model, now=number == len(micros))
                with self.machine.autocast():
                    loss = self.model.loss(micro.tokens_M, micro.targets_M, micro.lengths) / n_targets
                with torch.autocast(self.machine.device.type, enabled=False):
                    loss.backward()
                total += loss.detach()
        return total

    def _require_finite(self, step: int, figures: torch.Tensor) -> None:
        # Before optimizer.step(): NaN moments would survive a resume.
        if not figures.isfinite().all():
            loss, grad_norm = figures.tolist()
            raise DivergedError(
                f"{self.config.run_dir}: step {step}: loss {loss:.4g}, gradient norm {grad_norm:.4g}; "
                f"the weights were not touched; try a lower --learning-rate than {self.config.recipe.learning_rate:g}"
            )


def _ran_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """torch has a class of its own for a GPU's memory alone."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
