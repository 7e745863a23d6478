"""What studies were trained with, side by side: every setting that could change a loss, in words.

`scaling-lab report --compare` lists those that differ.
"""

from collections.abc import Sequence

from scaling_lab.config.identity import completed
from scaling_lab.history.runs import RunRecord

ABSENT = "absent"
# Data first, then what was trained and how; all else comes after these.
_SECTIONS = ("data", "ladder", "sizes", "seeds", "model", "tokens", "recipe")


def settings_of(studies: Sequence[Sequence[RunRecord]]) -> dict[str, tuple[str, ...]]:
    """By name, each study's value: ABSENT where its runs don't tell, empty where it has no run.

    A setting that differs by size has a value for each, of the sizes that all studies share: that one study has a size
    more is told under "sizes" alone.
    """
    sizes = [{run.size for run in runs} for runs in studies if runs]
    shared = set.intersection(*sizes) if sizes else set()
    found = [_of_study(runs, shared) for runs in studies]
    names = dict.fromkeys(name for settings in found for name in settings)
    return {
        name: tuple(settings.get(name, ABSENT) if settings else "" for settings in found)
        for name in sorted(names, key=_place)
    }


def _of_study(runs: Sequence[RunRecord], shared: set[str]) -> dict[str, str]:
    if not runs:
        return {}
    # A size's name may stand for several N.
    by_size = {run.parameters["total"]: _of_run(run) for run in runs if run.size in shared or not shared}
    names = dict.fromkeys(name for settings in by_size.values() for name in settings)
    return {
        "sizes": ", ".join(dict.fromkeys(run.size for run in runs)),
        "seeds": ", ".join(str(seed) for seed in sorted({run.seed for run in runs})),
        **{name: _in_words([settings.get(name, ABSENT) for settings in by_size.values()]) for name in names},
    }


def _in_words(values: Sequence[str]) -> str:
    """One value where sizes agree, else all in their order."""
    return values[0] if len(set(values)) == 1 else ", ".join(values)


def _of_run(run: RunRecord) -> dict[str, str]:
    """What a run's config and identity say; of a setting that both have, the identity counts."""
    config = run.results.get("config", {})
    of_config = {
        f"{section}.{name}": value
        for section in ("model", "recipe")
        for name, value in (config.get(section) or {}).items()
    }
    settings = of_config | {"tokens": run.results.get("tokens")} | completed(run.results["identity"])
    return {name: str(value) for name, value in settings.items() if name not in ("size", "seed") and value is not None}


def _place(name: str) -> tuple[int, str]:
    section = name.partition(".")[0]
    return _SECTIONS.index(section) if section in _SECTIONS else len(_SECTIONS), name
