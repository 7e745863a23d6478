"""Losses foretold before they are known: written down with their time and a hash, and scored once a run is there.

A law that is drawn through what it was fitted to shows nothing. `scaling-lab predict --freeze` writes what it says of a
size that nobody has trained, and the report holds it against that size's runs later. An entry is never replaced; one
that was changed since is told apart by its hash.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from scaling_lab.errors import UsageError
from scaling_lab.laws.sizes import MOST, SAME_SIZE, is_possible
from scaling_lab.studies.analysis import HEADLINE_COUNT, StudyAnalysis
from scaling_lab.tracking.results import write_json

# In a study's folder.
PREDICTIONS_NAME = "predictions.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Foretold:
    """One prediction, as it is kept.

    Attributes:
        made: when, ISO 8601 in UTC.
        n: total parameters; size: its name, where it has one.
        loss, low, high: nats a token; the interval is that of one new run.
        alpha, a, c: the law it was read off.
        runs: final losses of the runs that the law was fitted to, by name.
        sha256: of all the rest, as canonical JSON.
    """

    made: str
    size: str | None
    n: float
    loss: float
    low: float
    high: float
    confidence: float
    alpha: float
    a: float
    c: float
    runs: dict[str, float]
    sha256: str

    @property
    def untouched(self) -> bool:
        """Whether it is as it was written."""
        return self.sha256 == _hash({name: value for name, value in asdict(self).items() if name != "sha256"})


@dataclass(frozen=True)
class Score:
    """What became of a prediction: mean loss of the runs of that size, how many, and whether the interval held it."""

    foretold: Foretold
    observed: float | None
    n_runs: int

    @property
    def held(self) -> bool | None:
        """Whether the mean loss lies in the interval; None while there is no run."""
        return None if self.observed is None else self.foretold.low <= self.observed <= self.foretold.high


def foretell(analysis: StudyAnalysis, n: float, size: str | None, made: str) -> Foretold:
    """What a study's law says of a size. Raises UsageError where the law isn't identified, or the size was trained."""
    law = analysis.law
    if law.reasons:
        raise UsageError(f"nothing is predicted: {law.sentence()}")
    trained = [run.name for run in analysis.runs if abs(run.parameters[HEADLINE_COUNT] / n - 1) <= SAME_SIZE]
    if trained:
        raise UsageError(f"{size or f'N = {n:,.0f}'} is trained already ({', '.join(trained)}); predict a larger size")
    prediction = law.predict(n, new_run=True)
    said: dict[str, Any] = {
        "made": made,
        "size": size,
        "n": float(n),
        "loss": prediction.loss,
        "low": prediction.low,
        "high": prediction.high,
        "confidence": law.confidence,
        "alpha": law.alpha.value,
        "a": law.a.value,
        "c": law.c.value,
        "runs": {run.name: float(run.results["final_val_loss"]) for run in analysis.runs},
    }
    return Foretold(**said, sha256=_hash(said))


def freeze(folder: Path, foretold: Foretold) -> Path:
    """Add a prediction to those that are kept in a folder; the file. Raises UsageError where that can't be read."""
    path = folder / PREDICTIONS_NAME
    kept = [asdict(other) for other in read_foretold(folder)]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, {"schema_version": SCHEMA_VERSION, "predictions": [*kept, asdict(foretold)]})
    return path


def read_foretold(folder: Path) -> list[Foretold]:
    """The predictions kept in a folder, in the order in which they were made; none where there is no such file.

    Raises UsageError for a file that is none of ours.
    """
    path = folder / PREDICTIONS_NAME
    try:
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict) or not isinstance(content.get("predictions"), list):
            raise ValueError("it holds no list of predictions")
        return [_checked(_made_of(entry)) for entry in content["predictions"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"{path}: not what scaling-lab predict writes ({reason}); move it away") from None


def _made_of(entry: Any) -> Foretold:
    """A prediction out of JSON. Raises ValueError where it has other fields than ours."""
    if not isinstance(entry, dict):
        raise ValueError("a prediction is no object")
    ours = {field.name for field in fields(Foretold)}
    for names, verb in ((ours - entry.keys(), "lacks"), (entry.keys() - ours, "has a field that is not ours,")):
        if names:
            raise ValueError(f"a prediction {verb} {', '.join(sorted(names))}")
    return Foretold(**entry)


def _checked(one: Foretold) -> Foretold:
    """The same. Raises ValueError where a field is not what it must be."""
    for name in ("n", "loss"):
        if not is_possible(getattr(one, name)):
            raise ValueError(f"{name} is {json.dumps(getattr(one, name))}, no positive number")
    for name in ("low", "high", "confidence", "alpha", "a", "c"):
        value = getattr(one, name)
        if not isinstance(value, int | float) or isinstance(value, bool) or not -MOST <= value <= MOST:
            raise ValueError(f"{name} is {json.dumps(value)}, no number")
    if not all(isinstance(text, str) for text in (one.made, one.size or "", one.sha256)):
        raise ValueError("made, size or sha256 is no text")
    if not isinstance(one.runs, dict) or not all(map(is_possible, one.runs.values())):
        raise ValueError("runs is no object of losses by name")
    return one


def score(foretold: Sequence[Foretold], analysis: StudyAnalysis) -> list[Score]:
    """Each prediction that was read off these runs, with those of its size that it had not seen."""
    known = {run.name: float(run.results["final_val_loss"]) for run in analysis.runs}
    scores = []
    for one in foretold:
        if not one.runs.items() & known.items():
            continue  # of another study that is kept in the same folder
        losses = [
            float(run.results["final_val_loss"])
            for run in analysis.runs
            if abs(run.parameters[HEADLINE_COUNT] / one.n - 1) <= SAME_SIZE and run.name not in one.runs
        ]
        scores.append(Score(one, float(np.mean(losses)) if losses else None, len(losses)))
    return scores


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
