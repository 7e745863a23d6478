"""From runs to a law: the runs that count (`selection` says which, and why the others don't), and what they say.

Reached by `scaling-lab report` and at the end of `scaling-lab study`; both write what this finds to
scaling_study_results.json and draw the same object.
"""

from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scaling_lab.config.schema import ModelConfig, RecipeConfig
from scaling_lab.display import html_paragraphs, html_table
from scaling_lab.history.runs import LeftOut, RunRecord
from scaling_lab.laws import NextRuns, PowerLawFit, fit_power_law, next_runs
from scaling_lab.laws.json_ready import json_ready
from scaling_lab.laws.sizes import is_possible
from scaling_lab.laws.wording import counted, listed
from scaling_lab.studies.lints import WARMUP_TOO_LONG, Lint, lint, trained_run
from scaling_lab.studies.selection import select_runs, unfinished_runs

# The three counts of N, the one whose law is told first in front.
COUNTS = {
    "total": "all parameters, the tied embedding once",
    "non_embedding": "without the token embedding",
    "matmul": "what a token is multiplied by, output head included",
}
HEADLINE_COUNT = "total"
# And the two of compute, for losses that are held against FLOPs.
FLOPS_COUNTS = {
    "flops": "FLOPs as the run spent them, attention included",
    "six_nd": "6·N·D, N all parameters",
}
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StudyAnalysis:
    """A study, read and fitted.

    Attributes:
        runs: complete runs, one for each (N, seed), N all parameters, in that order.
        left_out: every other run that was found, with the reason.
        unfinished: those of left_out that belong to the study and are on their way, running or stopped, to be drawn.
        laws: the fit under each count of N, keyed as COUNTS, and under each of FLOPs, keyed as FLOPS_COUNTS, where
            every run told its own.
    """

    runs: tuple[RunRecord, ...]
    left_out: tuple[LeftOut, ...]
    laws: dict[str, PowerLawFit]
    unfinished: tuple[RunRecord, ...] = ()

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
        """What a terminal prints: the sentence, what depends on how size is counted, what is left out."""
        left_out = f"Left out: {counted(len(self.left_out), 'run')}; the report says why." if self.left_out else None
        return "\n".join(filter(None, (self.sentence, self.flips(), self.other_exponents(), left_out)))

    @cached_property
    def next_runs(self) -> tuple[NextRuns, ...]:
        """What would narrow the interval of alpha, most per FLOP first; a size's FLOPs as the runs' own go with N."""
        known = {run.parameters[HEADLINE_COUNT]: run.results.get("total_flops") for run in self.runs}
        told = {float(n): float(flops) for n, flops in known.items() if flops is not None and is_possible(flops)}
        if len(told) < 2:
            return ()
        slope, level = np.polyfit(np.log(list(told)), np.log(list(told.values())), 1)
        found = next_runs(self.law, cost=lambda n: float(np.exp(level + slope * np.log(n))))
        # A warmup that is too long for the smallest size is longer still for a smaller one, which would be off the law.
        held_back = any(each.name == WARMUP_TOO_LONG for each in self.lints)
        return tuple(runs for runs in found if not held_back or min(runs.n) >= min(told))

    @cached_property
    def lints(self) -> list[Lint]:
        """What this study can't show, however its law came out."""
        planned = [run for run in map(trained_run, self.runs) if run]
        return lint(planned) if planned and len(planned) == len(self.runs) else []

    def _repr_html_(self) -> str:
        """What a notebook shows: the conclusion, the runs, and the law under every count."""
        runs = [(run.size, run.seed, run.parameters[HEADLINE_COUNT], *_losses(run), run.name) for run in self.runs]
        laws = [(count_name(count), law.verdict, *astuple(law.alpha)) for count, law in self.laws.items()]
        return (
            html_paragraphs(self.conclusion.splitlines())
            + html_table("Runs", ("size", "seed", "parameters", "train loss", "validation loss", "run"), runs)
            + html_table("Laws", ("size as", "verdict", "alpha", "from", "to"), laws)
        )

    def flips(self) -> str | None:
        """Where the verdict depends on how size is counted, in a sentence; None where it doesn't."""
        identified = [count for count, law in self.laws.items() if law.verdict == "identified"]
        refused = [count for count in self.laws if count not in identified]
        if not identified or not refused:
            return None
        return (
            f"The verdict depends on how size is counted: identified under {_names(identified)}, "
            f"not identified under {_names(refused)}. Treat it as not identified."
        )

    def other_exponents(self) -> str | None:
        """Which counts give an exponent that the first one's interval rules out, in a sentence; None where none does.

        Nothing where some law isn't identified: an exponent that isn't known can't differ.
        """
        if any(law.reasons for law in self.laws.values()):
            return None
        here, shown = self.law.alpha, f"{self.law.alpha.value:.2f}"
        others = {count: law.alpha.value for count, law in self.laws.items()}
        # An exact study's interval has no width: what reads the same is the same.
        outside = {
            count: f"{alpha:.2f}"
            for count, alpha in others.items()
            if not here.low <= alpha <= here.high and f"{alpha:.2f}" != shown
        }
        if not outside:
            return None
        told = listed([f"{alpha} under {count_name(count)}" for count, alpha in outside.items()])
        return (
            f"The exponent depends on how size is counted: {told}, outside the interval under "
            f"{_names([HEADLINE_COUNT])}. Quote it with its count."
        )


def analyse(records: Sequence[RunRecord], left_out: Sequence[LeftOut] = ()) -> StudyAnalysis:
    """Choose the runs of one study and fit them; never raises over what the runs hold.

    Where runs of several studies lie together, the study with most complete runs is taken, the newest of equals.
    """
    runs, left = select_runs(records)
    sizes: dict[str, list[Any]] = {count: [run.parameters[count] for run in runs] for count in COUNTS}
    sizes["flops"] = [run.results.get("total_flops") for run in runs]
    sizes["six_nd"] = [_six_nd(run) for run in runs]
    laws = {
        count: _fit(runs, size, symbol="C" if count in FLOPS_COUNTS else "N")
        for count, size in sizes.items()
        if count in COUNTS or all(map(is_possible, size))
    }
    return StudyAnalysis(tuple(runs), (*left_out, *left), laws, tuple(unfinished_runs(records, runs)))


def study_results(analysis: StudyAnalysis) -> dict[str, Any]:
    """What scaling_study_results.json holds: every number of the report, to the digit; null for what is no number."""
    first = analysis.runs[0].results if analysis.runs else {}
    results = {
        "schema_version": SCHEMA_VERSION,
        "sentence": analysis.sentence,
        "headline_count": HEADLINE_COUNT,
        "flips": analysis.flips(),
        "other_exponents": analysis.other_exponents(),
        "ladder": first.get("ladder"),
        "data": _in_order(first.get("data"), DATA_KEYS),
        "recipe": _in_order(first.get("config", {}).get("recipe"), tuple(RecipeConfig.model_fields)),
        "seeds": sorted({run.seed for run in analysis.runs}),
        "runs": [run_summary(run) for run in analysis.runs],
        "left_out": [asdict(run) for run in analysis.left_out],
        "laws": {count: law.to_dict() for count, law in analysis.laws.items()},
        "next_runs": [asdict(runs) for runs in analysis.next_runs],
        "lints": [asdict(found) for found in analysis.lints],
    }
    return json_ready(results)


# As training writes them.
DATA_KEYS = ("name", "fingerprint", "vocab_size", "train_tokens", "val_tokens", "licence")
PARAMETERS_KEYS = ("non_embedding", "total", "matmul")
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
    "bits_per_byte",
    "bits_per_note",
    "tokens_per_second",
    "mfu",
    "training_seconds",
    "peak_memory_bytes",
    "wandb_id",
    "wandb_url",
)


def run_summary(run: RunRecord) -> dict[str, Any]:
    """A run's architecture and statistics, as tables and results show them."""
    model = _in_order(run.results.get("config", {}).get("model", {}), tuple(ModelConfig.model_fields))
    summary = {key: run.results.get(key) for key in SUMMARY_KEYS}
    return summary | {"parameters": _in_order(run.parameters, PARAMETERS_KEYS), "model": model}


def _in_order(found: Any, keys: Sequence[str]) -> Any:
    """The same with these keys in front, all others after them by name: a server keeps no order."""
    return found and {key: found[key] for key in (*keys, *sorted(found)) if key in found}


def _fit(runs: Sequence[RunRecord], sizes: Sequence[float], symbol: str) -> PowerLawFit:
    loss = np.array([run.results["final_val_loss"] for run in runs], dtype=np.float64)
    return fit_power_law(np.array(sizes, dtype=np.float64), loss, symbol=symbol)


def _losses(run: RunRecord) -> tuple[float | None, float | None]:
    return run.results.get("final_train_loss"), run.results.get("final_val_loss")


def _six_nd(run: RunRecord) -> float | None:
    tokens = run.results.get("tokens")
    return 6.0 * run.parameters["total"] * tokens if tokens else None


def _names(counts: Sequence[str]) -> str:
    return listed([count_name(count) for count in counts])


def count_name(count: str) -> str:
    """A count of N or of FLOPs, for people."""
    return {"flops": "FLOPs", "six_nd": "6·N·D"}.get(count, count.replace("_", "-"))
