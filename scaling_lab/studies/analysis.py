"""From runs to a law: which runs may share one curve, which one counts for each (size, seed), and what they say.

Reached by `scaling-lab report` and at the end of `scaling-lab study`; both write what this finds to
scaling_study_results.json and draw the same object.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_lab.config.schema import SIZES
from scaling_lab.history.runs import LeftOut, RunRecord
from scaling_lab.laws import PowerLawFit, fit_power_law

# The three counts of N, the one whose law is told first in front.
COUNTS = {
    "total": "all parameters, the tied embedding once",
    "non_embedding": "without the token embedding",
    "matmul": "what a token is multiplied by, output head included",
}
HEADLINE_COUNT = "total"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StudyAnalysis:
    """A study, read and fitted.

    Attributes:
        runs: complete runs, one for each (size, seed), in order of size, then seed.
        left_out: every other run that was found, with the reason.
        laws: the fit under each count of N, keyed as COUNTS.
    """

    runs: tuple[RunRecord, ...]
    left_out: tuple[LeftOut, ...]
    laws: dict[str, PowerLawFit]

    @property
    def law(self) -> PowerLawFit:
        """The law that is told first."""
        return self.laws[HEADLINE_COUNT]

    @property
    def sentence(self) -> str:
        """The conclusion, for people."""
        return self.law.sentence()

    @property
    def conclusion(self) -> str:
        """The sentence, and under it where the verdict depends on how N is counted: what a terminal prints."""
        return "\n".join(filter(None, (self.sentence, self.flips())))

    def flips(self) -> str | None:
        """Where the verdict depends on how N is counted, in a sentence; None where it doesn't."""
        identified = [count for count, law in self.laws.items() if law.verdict == "identified"]
        refused = [count for count in self.laws if count not in identified]
        if not identified or not refused:
            return None
        return (
            f"The verdict depends on how N is counted: identified under {_names(identified)}, "
            f"not identified under {_names(refused)}. Treat it as not identified."
        )


def analyse(records: Sequence[RunRecord], left_out: Sequence[LeftOut] = ()) -> StudyAnalysis:
    """Choose the runs of one study and fit them; never raises over what the runs hold.

    Where runs of several studies lie together, the study with most complete runs is taken, the newest of equals.
    """
    left = list(left_out)
    complete = []
    for record in records:
        reason = _unusable(record)
        if reason is None:
            complete.append(record)
        else:
            left.append(LeftOut(record.name, reason))
    chosen = _largest_study(complete)
    left += [
        LeftOut(record.name, "belongs to another study: ladder, recipe, data or precision differ")
        for record in complete
        if record not in chosen
    ]
    runs, replaced = _one_for_each_point(chosen)
    left += [LeftOut(record.name, "a newer run has the same size and seed") for record in replaced]
    laws = {count: _fit(runs, count) for count in COUNTS}
    return StudyAnalysis(tuple(runs), tuple(left), laws)


def study_results(analysis: StudyAnalysis) -> dict[str, Any]:
    """What scaling_study_results.json holds: every number of the report, to the digit."""
    first = analysis.runs[0].results if analysis.runs else {}
    return {
        "schema_version": SCHEMA_VERSION,
        "sentence": analysis.sentence,
        "headline_count": HEADLINE_COUNT,
        "flips": analysis.flips(),
        "ladder": first.get("ladder"),
        "data": first.get("data"),
        "recipe": first.get("config", {}).get("recipe"),
        "seeds": sorted({run.seed for run in analysis.runs}),
        "runs": [run_summary(run) for run in analysis.runs],
        "left_out": [{"name": run.name, "reason": run.reason} for run in analysis.left_out],
        "laws": {count: law.to_dict() for count, law in analysis.laws.items()},
    }


SUMMARY_KEYS = (
    "name",
    "size",
    "seed",
    "state",
    "parameters",
    "steps",
    "tokens",
    "flops_per_token",
    "total_flops",
    "final_train_loss",
    "final_val_loss",
    "best_val_loss",
    "best_step",
    "bits_per_character",
    "tokens_per_second",
    "mfu",
    "training_seconds",
    "peak_memory_bytes",
    "wandb_url",
)


def run_summary(run: RunRecord) -> dict[str, Any]:
    """A run's architecture and statistics, as tables and results show them."""
    model = run.results.get("config", {}).get("model", {})
    return {key: run.results.get(key) for key in SUMMARY_KEYS} | {"model": model}


def _unusable(record: RunRecord) -> str | None:
    """Why a run is no point of a curve, or None."""
    if record.size not in SIZES:
        return f"its size {record.size!r} is none of the ladder's"
    if record.state != "complete":
        return f"{record.state}, not complete"
    loss = record.results.get("final_val_loss")
    if not isinstance(loss, int | float) or not np.isfinite(loss):
        return "has no finite validation loss"
    return None


def _largest_study(records: Sequence[RunRecord]) -> list[RunRecord]:
    if not records:
        return []
    count = Counter(record.study_key for record in records)
    newest: dict[Any, str] = {}
    for record in records:
        newest[record.study_key] = max(newest.get(record.study_key, ""), str(record.results.get("updated_at", "")))
    best = max(count, key=lambda key: (count[key], newest[key]))
    return [record for record in records if record.study_key == best]


def _one_for_each_point(records: Sequence[RunRecord]) -> tuple[list[RunRecord], list[RunRecord]]:
    """The newest run of each (size, seed), in order of the ladder, and those it replaces."""
    newest: dict[tuple[int, int], RunRecord] = {}
    replaced = []
    for record in sorted(records, key=lambda record: str(record.results.get("updated_at", ""))):
        point = (SIZES.index(record.size), record.seed)  # type: ignore[arg-type] - _unusable has checked it
        if point in newest:
            replaced.append(newest[point])
        newest[point] = record
    return [newest[point] for point in sorted(newest)], replaced


def _fit(runs: Sequence[RunRecord], count: str) -> PowerLawFit:
    n = np.array([run.parameters[count] for run in runs], dtype=np.float64)
    loss = np.array([run.results["final_val_loss"] for run in runs], dtype=np.float64)
    return fit_power_law(n, loss)


def _names(counts: Sequence[str]) -> str:
    return " and ".join(count.replace("_", "-") for count in counts)
