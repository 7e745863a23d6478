"""What the report says in words: what a study rests on, what its law foretells, and how to do it again."""

import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from scaling_lab.history.runs import RunRecord
from scaling_lab.laws import PowerLawFit
from scaling_lab.report import formats
from scaling_lab.report.curves import CURVES_A_SIZE, drawn_runs
from scaling_lab.report.figures import may_foretell, size_names
from scaling_lab.report.law_lines import EXTRAPOLATION
from scaling_lab.studies.analysis import COUNTS, HEADLINE_COUNT, StudyAnalysis
from scaling_lab.studies.lints import FEW_SIZES

# Ends of alpha's interval further apart than by this factor leave open how fast loss falls.
WIDE = 3


@dataclass(frozen=True)
class Fact:
    """One line of a list of facts."""

    term: str
    text: str


def title(analysis: StudyAnalysis) -> str:
    """The report's name: ladder and data, as far as they are known."""
    runs = analysis.runs or analysis.unfinished
    if not runs:
        return "Scaling study"
    first = runs[0].results
    return formats.plain(f"Scaling study: {first.get('ladder')} ladder on {_data(first).get('name', 'unnamed data')}")


def foundations(analysis: StudyAnalysis) -> list[Fact]:
    """Runs, data, machine and method: what the law rests on."""
    runs = analysis.runs
    if not runs:
        return [Fact("Runs", "none is complete")]
    return [
        Fact("Runs", _runs_in_words(runs)),
        *_repeated_rows(runs),
        Fact("Data", formats.plain(_data_in_words(_data(runs[0].results)))),
        Fact("Machine", formats.plain(_machines_in_words(runs))),
        Fact("Fitted", "the validation loss at the end of each run, over the whole validation split"),
        Fact("Method", analysis.law.method),
    ]


def _runs_in_words(runs: Iterable[RunRecord]) -> str:
    runs = list(runs)
    seeds = sorted({run.seed for run in runs})
    sizes = Counter(run.size for run in runs)
    of_seeds = f"seed{'' if len(seeds) == 1 else 's'} {formats.listed([str(seed) for seed in seeds])}"
    if len(set(sizes.values())) == 1:
        names = f"{formats.counted(len(sizes), 'size')} ({formats.listed(list(sizes))})"
    else:
        names = formats.listed([f"{number} of {size}" for size, number in sizes.items()])
    return f"{formats.counted(len(runs), 'complete run')}: {names}; {of_seeds}"


def _repeated_rows(runs: Iterable[RunRecord]) -> list[Fact]:
    """What was logged more than once, by run; nothing where nothing was."""
    words = [f"{run.repeated_rows:,} of {formats.plain(run.name)}" for run in runs if run.repeated_rows]
    text = f"rows that logged a step again: {formats.listed(words)}; the last of each step counts"
    return [Fact("Repeated", text)] if words else []


def _data(results: dict[str, Any]) -> dict[str, Any]:
    data = results.get("data")
    return data if isinstance(data, dict) else {}


def _data_in_words(data: dict[str, Any]) -> str:
    parts = [str(data.get("name", "unnamed"))]
    for key, noun in (("train_tokens", "training tokens"), ("val_tokens", "validation tokens")):
        if data.get(key) is not None:
            parts.append(f"{formats.whole(data[key])} {noun}")
    if data.get("vocab_size") is not None:
        parts.append(f"{formats.whole(data['vocab_size'])} token ids")
    if data.get("fingerprint"):
        parts.append(f"fingerprint {data['fingerprint']}")
    licence = f". Licence: {data['licence']}" if data.get("licence") else ""
    return ", ".join(parts) + licence


def _machines_in_words(runs: Iterable[RunRecord]) -> str:
    """Every different machine, in order of first appearance."""
    machines = [run.results.get("machine") or {} for run in runs]
    keys = ("device", "processor", "precision")
    said = [", ".join(str(machine[key]) for key in keys if machine.get(key)) for machine in machines]
    return "; ".join(dict.fromkeys(words for words in said if words)) or "not recorded"


def scaling_caption(analysis: StudyAnalysis, count: str) -> str:
    """What the scaling figure shows: the law's sentence, and what it foretells of a size ten times the largest."""
    law = analysis.laws[count]
    what = f"N: {COUNTS[count]}. {law.sentence()}"
    if not may_foretell(analysis, count):
        return what
    ahead = law.predict(EXTRAPOLATION * float(law.sizes.n[-1]))
    return (
        f"{what} Extrapolated to N = {formats.count(ahead.n)}, ten times the largest size, the mean loss would be "
        f"{ahead.loss:.3f} ({ahead.low:.3f} to {ahead.high:.3f})."
    )


def curves_drawn(analysis: StudyAnalysis) -> str | None:
    """How many runs the curves show, where not all; None where all."""
    runs = (*analysis.runs, *analysis.unfinished)
    drawn = len(drawn_runs(runs))
    if drawn == len(runs):
        return None
    return (
        f"Drawn are {drawn:,} of {len(runs):,} runs, at most {CURVES_A_SIZE} of a size, evenly spread over "
        "its seeds. The law and the tables rest on all."
    )


def largest_foretold(analysis: StudyAnalysis) -> str | None:
    """How well the other sizes foretell the largest; None where there are too few."""
    test = analysis.law.leave_largest_out
    if test is None:
        return None
    name = size_names(analysis.runs, HEADLINE_COUNT).get(test.n, formats.count(test.n))
    side = "above" if test.relative_error > 0 else "below"
    error = f"{100 * abs(test.relative_error):.2f} % {side}"
    interval = f"{test.low:.3f} to {test.high:.3f}"
    ending = {
        True: f"The interval foretold, {interval}, holds what was observed.",
        False: f"The interval foretold, {interval}, misses what was observed: do not extrapolate this law.",
        None: "Nothing measured the noise, so there is no interval to hold it against.",
    }[test.covered]
    return (
        f"Fitted without {name}, the law foretells a loss of {test.predicted:.4f} for it, {error} the "
        f"{test.observed:.4f} observed. {ending}"
    )


def next_runs(analysis: StudyAnalysis) -> str | None:
    """What the table of next runs is of; None where there is none."""
    found = analysis.next_runs
    if not found:
        return None
    now = found[0].now
    known = f"knows alpha to about ±{now:.2g}" if isfinite(now) else "gives alpha an interval without an end"
    told = f"A study of this design and noise {known}. What would narrow that, most for its FLOPs first:"
    if any(law.reasons for law in analysis.laws.values()):
        return f"First what lifts the refusal: {next_step(analysis)} Then, of what describes these runs: {told}"
    return told


def badge(analysis: StudyAnalysis) -> tuple[str, bool]:
    """The verdict in a word or two, and whether it is one to build on."""
    if is_training(analysis):
        return "Training", False
    if analysis.law.reasons:
        return "Not identified", False
    if analysis.flips():
        return "Identified under some counts only", False
    alpha = analysis.law.alpha
    return ("Identified", True) if alpha.high <= WIDE * alpha.low else ("Identified, but wide", False)


def is_training(analysis: StudyAnalysis) -> bool:
    """Whether no run has come to its end, and some are on their way."""
    return not analysis.runs and bool(analysis.unfinished)


def sentence(analysis: StudyAnalysis) -> str:
    """The conclusion, or while there can be none, what it waits for."""
    if not is_training(analysis):
        return analysis.sentence
    runs = formats.counted(len(analysis.unfinished), "run")
    return f"{runs} on the way, none complete so far; a law needs {FEW_SIZES} sizes."


def meaning(analysis: StudyAnalysis) -> str | None:
    """What "identified" says, and what it doesn't; None where nothing is."""
    if analysis.law.reasons or analysis.flips():
        return None
    return (
        "Identified: the losses rule out that there is no floor, and that nothing falls. How fast loss falls with N is "
        "known to the interval of alpha, and no better."
    )


def next_step(analysis: StudyAnalysis) -> str | None:
    """What to train first, in a sentence: what cures the refusal, or narrows alpha most for its FLOPs."""
    if is_training(analysis):
        return None
    # Where the verdict hangs on the count, what cures the count that refuses it.
    refused = [law for law in analysis.laws.values() if law.reasons]
    if refused:
        return refused[0].reasons[0].cure
    if not analysis.next_runs:
        return None
    first = analysis.next_runs[0]
    now = f"; this design gives about ±{first.now:.2g}" if isfinite(first.now) else ""
    return (
        f"Train {first.text}, {formats.count(first.cost)} FLOPs. If the law holds there and noise stays as it is, "
        f"alpha would be known to about ±{first.half_width:.2g}{now}."
    )


def how_to_add(analysis: StudyAnalysis) -> str:
    """What to type for one more size or seed of this study."""
    first = analysis.runs[0]
    folder = Path(str(first.results.get("config", {}).get("output_dir") or "outputs"))
    config = shlex.quote(formats.plain(str(folder / first.folder_name / "config.yaml")))
    return (
        f"scaling-lab train --config {config} --seed {max(run.seed for run in analysis.runs) + 1}\n"
        f"scaling-lab train --config {config} --name NAME -o model.d_model=… -o model.d_ff=… -o model.n_layers=…\n"
        f"scaling-lab report --results-dir {shlex.quote(formats.plain(str(folder)))}"
    )


def doubling(law: PowerLawFit) -> tuple[str, str]:
    """What twice the parameters take off the loss above c, 1 - 2^-alpha: the share and its interval."""
    share, low, high = (1 - 2 ** -min(alpha, 60) for alpha in (law.alpha.value, law.alpha.low, law.alpha.high))
    return formats.percent(share, 0), f"{formats.percent(low, 0)} to {formats.percent(high, 0)}"


def commands(analysis: StudyAnalysis) -> list[str]:
    """What to type, in a checkout, to train every run again beside the first and draw this report of them."""
    if not analysis.runs:
        return ["scaling-lab study --ladder mini"]
    again = "outputs/again"
    lines = []
    commits = sorted({str(run.results.get("git_commit") or "") for run in analysis.runs} - {""})
    if len(commits) == 1:
        lines.append(f"git checkout {shlex.quote(formats.plain(commits[0].removesuffix('+changes')))}")
    for run in analysis.runs:
        folder = Path(str(run.results.get("config", {}).get("output_dir") or "outputs")) / run.folder_name
        config = shlex.quote(formats.plain(str(folder / "config.yaml")))
        lines.append(f"scaling-lab train --config {config} --output-dir {again}")
    return [*lines, f"scaling-lab report --results-dir {again}"]


def origins(analysis: StudyAnalysis) -> list[Fact]:
    """Fingerprint, commit and versions; where runs differ, every value."""
    results = [run.results for run in analysis.runs]
    versions = [result.get("versions") or {} for result in results]
    packages = dict.fromkeys(package for found in versions for package in found)
    said = [f"{formats.plain(package)} {_all_of(found.get(package) for found in versions)}" for package in packages]
    return [
        Fact("Data fingerprint", _all_of(_data(result).get("fingerprint") for result in results)),
        Fact("Commit", _all_of(result.get("git_commit") for result in results)),
        Fact("Versions", "; ".join(said) or "not recorded"),
    ]


def _all_of(values: Iterable[Any]) -> str:
    found = dict.fromkeys(str(value).replace("+changes", " with uncommitted changes") for value in values if value)
    return formats.plain(formats.listed(list(found))) if found else "not recorded"
