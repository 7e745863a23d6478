"""Several studies side by side: whose exponent is larger, and what else differs between them.

    Comparison((LabelledStudy("LSTM", folder, analyse(*read_runs(folder))), ...)).conclusion

Reached by `scaling-lab report --compare`. A study is what `analysis` makes of a folder; what is new here is the
difference of each pair's exponents (`laws.difference`), and whether losses can be held against each other at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

from scaling_lab.history.runs import RunRecord
from scaling_lab.laws import AlphaDifference, PowerLawFit, Reason, alpha_difference, fit_power_law
from scaling_lab.laws.difference import NOT_TOLD_APART, REFUSED, TOLD_APART, confidence_in_words
from scaling_lab.laws.sizes import is_possible
from scaling_lab.laws.wording import counted, listed
from scaling_lab.studies.analysis import COUNTS, HEADLINE_COUNT, StudyAnalysis, count_name, study_results
from scaling_lab.studies.settings import settings_of

SCHEMA_VERSION = 1
# The keys of a run's results that hold its loss, by the unit it is in.
UNITS = {"nats": "final_val_loss", "bits": "bits_per_character"}
UNIT_NAMES = {"nats": "nats a token", "bits": "bits a character"}
# Pairs of one outcome that a sentence names.
PAIRS_NAMED = 3
SHARED_RUNS = "shared-runs"
UNKNOWN = "not recorded"


@dataclass(frozen=True)
class LabelledStudy:
    """A study as the comparison calls it."""

    label: str
    folder: Path
    analysis: StudyAnalysis

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        return self.analysis.runs

    @property
    def data(self) -> dict[str, Any]:
        """Name, fingerprint and token counts of what it was trained on, as far as its runs tell."""
        data = self.runs[0].results.get("data") if self.runs else None
        return data if isinstance(data, dict) else {}

    @property
    def fingerprint(self) -> str:
        return str(self.data.get("fingerprint") or UNKNOWN)

    @property
    def refusals(self) -> list[str]:
        """Why nothing is claimed of its exponent, in a few words each; none where its law is identified."""
        return [name.replace("-", " ") for name in _names((*self.analysis.law.reasons, *_flips(self)))]

    def losses(self, unit: str) -> list[Any]:
        """Of each run, in a unit of UNITS; None where a run has none."""
        return [run.results.get(UNITS[unit]) for run in self.runs]

    def has(self, unit: str) -> bool:
        """Whether every run has a loss in this unit."""
        return all(map(is_possible, self.losses(unit)))

    def law(self, count: str, unit: str = "nats") -> PowerLawFit:
        """Of losses in bits the same law again, a and c in bits: of one text they are nats times a number."""
        law = self.analysis.laws[count]
        sizes = [run.parameters[count] for run in self.runs] if unit != "nats" else []
        return fit_power_law(sizes, self.losses(unit), confidence=law.confidence) if sizes else law


@dataclass(frozen=True)
class Comparison:
    """Two studies or more."""

    studies: tuple[LabelledStudy, ...]

    @property
    def pairs(self) -> list[tuple[LabelledStudy, LabelledStudy]]:
        return list(combinations(self.studies, 2))

    @cached_property
    def differences(self) -> dict[str, tuple[AlphaDifference, ...]]:
        """Of each pair, by how size is counted: in N of every kind, and in FLOPs where every study tells them."""
        counts = [
            count
            for count in self.studies[0].analysis.laws
            if count in COUNTS or all(count in study.analysis.laws for study in self.studies)
        ]
        return {count: tuple(self._difference(*pair, count) for pair in self.pairs) for count in counts}

    @property
    def headline(self) -> tuple[AlphaDifference, ...]:
        """The differences that are told first."""
        return self.differences[HEADLINE_COUNT]

    @property
    def verdict(self) -> str:
        """Of all pairs together: told apart where one is, refused where all are."""
        verdicts = {found.verdict for found in self.headline}
        return next(verdict for verdict in (TOLD_APART, NOT_TOLD_APART, REFUSED) if verdict in verdicts)

    @property
    def conclusion(self) -> str:
        """For people: which exponents differ, under the count that is told first."""
        if len(self.headline) == 1:
            return self.headline[0].sentence()
        return " ".join(filter(None, (self._apart(), self._not_apart(), self._brackets(), self._refused())))

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why some difference is refused, each reason once."""
        return tuple(dict.fromkeys(reason for found in self.headline for reason in found.reasons))

    def hinges(self) -> str | None:
        """Which answers depend on how size is counted, in a sentence; None where none does."""
        words = [text for place in range(len(self.pairs)) if (text := self._hinge(place))]
        if not words:
            return None
        return f"{'; '.join(words)}. What depends on how size is counted is not told apart."

    def warnings(self) -> list[str]:
        """Why losses of these studies can't be held against each other; empty where they can."""
        told = [study for study in self.studies if study.runs]
        fingerprints = {study.fingerprint for study in told}
        if len(told) < 2 or (len(fingerprints) == 1 and UNKNOWN not in fingerprints):
            return []
        labels: dict[str, list[str]] = {}
        for study in told:
            data = f"{study.data.get('name', 'unnamed')} ({study.fingerprint})"
            labels.setdefault(data, []).append(study.label)
        data = "; ".join(f"{data} of {listed(names)}" for data, names in labels.items())
        words = (
            f"The data differ, or aren't known to agree: {data}. Losses in nats a token can't be compared then: a "
            "token of one is not a token of the other. Each alpha, which no unit changes, is that of its own data."
        )
        in_bits = (
            "Bits a character can be, but only on the same text. Whether the studies were evaluated on the same text "
            "is not known here."
        )
        return [words, in_bits] if "bits" in self.units else [words]

    @property
    def units(self) -> list[str]:
        """Those that every run of every study has a loss in."""
        return [unit for unit in UNITS if unit == "nats" or all(study.has(unit) for study in self.studies)]

    @cached_property
    def settings(self) -> dict[str, tuple[str, ...]]:
        """Every setting that some study has, with each study's value in words; of one without a run it is empty."""
        return settings_of([study.runs for study in self.studies])

    @property
    def differing(self) -> dict[str, tuple[str, ...]]:
        """The settings that are not the same in every study that has a run."""
        return {name: values for name, values in self.settings.items() if len(set(values) - {""}) > 1}

    def _difference(self, one: LabelledStudy, other: LabelledStudy, count: str) -> AlphaDifference:
        laws = one.law(count), other.law(count)
        found = alpha_difference(*laws, names=(one.label, other.label), comparisons=len(self.pairs))
        return replace(found, reasons=(*found.reasons, *_flips(one), *_flips(other), *_shared(one, other)))

    def _hinge(self, place: int) -> str | None:
        """Of one pair, what each count makes of it, where they disagree. A refusal disagrees with nothing."""
        counts: dict[str, list[str]] = {}
        for count, found in self.differences.items():
            pair = found[place]
            if pair.verdict != REFUSED:
                answer = f"the exponent of {pair.larger} is larger" if pair.larger else "they are not told apart"
                counts.setdefault(answer, []).append(count_name(count))
        if len(counts) < 2:
            return None
        one, other = self.headline[place].names
        answers = (f"{answer} under {listed(names)}" for answer, names in counts.items())
        return f"Of {one} and {other}, {', '.join(answers)}"

    def _apart(self) -> str:
        found = [pair if pair.interval.value > 0 else pair.reversed() for pair in self._with(TOLD_APART)]
        words = [f"{pair.names[0]} has a larger exponent than {pair.names[1]}, by {pair.told()}" for pair in found]
        return f"{_some(words)}." if words else ""

    def _not_apart(self) -> str:
        words = [f"{' and '.join(pair.names)}, by {pair.told()}" for pair in self._with(NOT_TOLD_APART)]
        return f"Not told apart, which doesn't make them the same: {_some(words)}." if words else ""

    def _brackets(self) -> str:
        """What the intervals in the sentences before are."""
        holds = confidence_in_words(self.headline[0].confidence, len(self.pairs))
        return "" if self.verdict == REFUSED else f"In brackets: the {holds}."

    def _refused(self) -> str:
        alone = [f"{study.label} ({', '.join(study.refusals)})" for study in self.studies if study.refusals]
        shared = [" and ".join(pair.names) for pair in self.headline if SHARED_RUNS in _names(pair.reasons)]
        words = [f"of {listed(alone)}"] if alone else []
        words += [f"between {_some(shared)}, which have runs in common"] if shared else []
        return f"Nothing is claimed {', nor '.join(words)}." if words else ""

    def _with(self, verdict: str) -> list[AlphaDifference]:
        return [found for found in self.headline if found.verdict == verdict]


def comparison_results(comparison: Comparison) -> dict[str, Any]:
    """Every number of the comparison, ready for JSON."""
    return {
        "schema_version": SCHEMA_VERSION,
        "conclusion": comparison.conclusion,
        "verdict": comparison.verdict,
        "headline_count": HEADLINE_COUNT,
        "hinges": comparison.hinges(),
        "warnings": comparison.warnings(),
        "differences": {
            count: [found.to_dict() for found in differences] for count, differences in comparison.differences.items()
        },
        "differing": {
            name: dict(zip((study.label for study in comparison.studies), values, strict=True))
            for name, values in comparison.differing.items()
        },
        "studies": [_study_results(study, in_bits="bits" in comparison.units) for study in comparison.studies],
    }


def _study_results(study: LabelledStudy, in_bits: bool) -> dict[str, Any]:
    results = {"label": study.label, "folder": str(study.folder)} | study_results(study.analysis)
    return results | {
        "laws_in_bits": {count: study.law(count, "bits").to_dict() for count in COUNTS} if in_bits else {}
    }


def _flips(study: LabelledStudy) -> list[Reason]:
    flips = study.analysis.flips()
    if flips is None:
        return []
    cure = "Train what its own report names as the cure under the counts that refuse it."
    return [Reason("depends-on-count", f"The law of {study.label} is not one under every count. {flips}", cure)]


def _shared(one: LabelledStudy, other: LabelledStudy) -> list[Reason]:
    """Runs that both studies have: noise that they share is none between them, and no interval here knows of it."""
    points = [{(run.size, run.results["final_val_loss"]) for run in study.runs} for study in (one, other)]
    shared = len(points[0] & points[1])
    if not shared:
        return []
    detail = (
        f"{one.label} and {other.label} have {counted(shared, 'run')} of the same size and, to the last digit, the "
        "same loss: the same runs, it seems, or the same training done again. The interval is of independent studies."
    )
    return [Reason(SHARED_RUNS, detail, "Give studies that have no run in common.")]


def _names(reasons: Sequence[Reason]) -> list[str]:
    return [reason.name for reason in reasons]


def _some(words: Sequence[str]) -> str:
    named = "; ".join(words[:PAIRS_NAMED])
    return named if len(words) <= PAIRS_NAMED else f"{named}; and {len(words) - PAIRS_NAMED} more pairs"
