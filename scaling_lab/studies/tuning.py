"""From runs at several learning rates to the law of the best: `scaling-lab tune`."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from scaling_lab.config import load_config
from scaling_lab.config.schema import SIZES
from scaling_lab.errors import UsageError
from scaling_lab.history.runs import LeftOut, RunRecord
from scaling_lab.laws.learning_rate import BestRate, RateLaw, best_rate, fit_rate_law
from scaling_lab.model.cost import count_parameters
from scaling_lab.studies.analysis import HEADLINE_COUNT
from scaling_lab.studies.selection import why_unusable

_RATE = "recipe.learning_rate"


@dataclass(frozen=True)
class Tuning:
    """What runs at several rates say.

    Attributes:
        law: None where they say too little.
        rates: the law's rate for each size of the runs' ladder, those that were not tried too; empty without a law.
    """

    found: tuple[BestRate, ...]
    law: RateLaw | None
    rates: dict[str, float]
    left_out: tuple[LeftOut, ...]

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "sizes": [
                asdict(each) | {"losses": [loss if np.isfinite(loss) else None for loss in each.losses]}
                for each in self.found
            ],
            "law": asdict(self.law) if self.law else None,
            "rates": self.rates,
            "left_out": [asdict(run) for run in self.left_out],
        }


def tune(records: Sequence[RunRecord], left_out: Sequence[LeftOut] = ()) -> Tuning:
    """Fit the law to the runs that differ in size, seed and learning rate alone; of several seeds the mean loss counts.

    A run that diverged counts as worse than any other at its rate.

    Raises:
        UsageError: if no run is left.
    """
    studies: dict[tuple[Any, ...], list[RunRecord]] = defaultdict(list)
    left = list(left_out)
    for record in records:
        reason = None if record.state == "diverged" and record.size in SIZES else why_unusable(record)
        if reason is None:
            studies[_study(record)].append(record)
        else:
            left.append(LeftOut(record.name, reason, record.size, record.seed))
    if not studies:
        raise UsageError("no run is complete; train some first: wandb sweep sweeps/learning-rate.yaml")
    largest = max(studies.values(), key=len)
    for study in studies.values():
        if study is not largest:
            reason = "it differs from most runs in more than size, seed and learning rate"
            left += [LeftOut(record.name, reason, record.size, record.seed) for record in study]
    losses: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts = {}
    for record in largest:
        losses[record.size][record.results["identity"][_RATE]].append(_loss(record))
        counts[record.size] = record.parameters[HEADLINE_COUNT]
    found = tuple(
        best_rate(size, counts[size], {rate: float(np.mean(seeds)) for rate, seeds in losses[size].items()})
        for size in SIZES
        if size in losses
    )
    law = fit_rate_law(found)
    return Tuning(found, law, _rates(law, largest[0]) if law else {}, tuple(left))


def _rates(law: RateLaw, run: RunRecord) -> dict[str, float]:
    vocab_size = run.results["data"]["vocab_size"]
    models = {size: load_config(size=size, ladder=run.ladder, environ={}).model for size in SIZES}
    counts = {size: getattr(count_parameters(model, vocab_size), HEADLINE_COUNT) for size, model in models.items()}
    return {size: law.rate(n) for size, n in counts.items()}


def _study(record: RunRecord) -> tuple[Any, ...]:
    return tuple((key, value) for key, value in record.study_key if key != _RATE)


def _loss(record: RunRecord) -> float:
    if record.state == "diverged":
        return float("inf")
    return float(record.results["final_val_loss"])
