"""Which tunes stay, and in which split: each text once, and no tune held out that has a sibling in training.

A tune that was given in a split stays in it. All others are split by cluster: 5 % of clusters are val and 5 % test, by
a hash, so that adding files moves nothing.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scaling_lab.data.conversion.work import Outcome
from scaling_lab.data.packing.guide_format import SPLITS
from scaling_lab.data.preparation.clusters import cluster
from scaling_lab.data.splits import VAL_SHARE, cluster_keys, draw, split_of
from scaling_lab.music.melody import shingles

# Of equal texts the one in the earliest of these splits stays: what is held out must not stand in training too.
_STAYS = ("test", "val", "train", None)


@dataclass
class Selection:
    """Where each tune of a source goes.

    Attributes:
        splits: the split of each outcome, in order; None for one that is left out.
        rejected: tunes that can't serve, by reason.
        exact_duplicates: tunes whose text another tune has.
        near_duplicates: tunes given for training and left out, since a tune of their cluster was given as held out.
        n_clusters: clusters among the tunes that stay.
        notes: notes in the tunes of each split.
    """

    splits: list[str | None]
    rejected: Counter[str]
    exact_duplicates: int
    near_duplicates: int
    n_clusters: int
    notes: Counter[str]


def select(outcomes: Iterable[Outcome]) -> Selection:
    """Look through the outcomes once and decide. What is kept of each tune in memory is its melody, not its text."""
    first: dict[bytes, int] = {}
    kept: dict[int, _Tune] = {}
    rejected: Counter[str] = Counter()
    n_tunes = 0
    for place, outcome in enumerate(outcomes):
        n_tunes += 1
        if outcome.reason:
            rejected[outcome.reason] += 1
            continue
        digest = hashlib.blake2b(outcome.text.encode(), digest_size=16).digest()
        other = first.get(digest)
        if other is None or _STAYS.index(outcome.split) < _STAYS.index(kept[other].given):
            kept.pop(other, None)  # type: ignore[arg-type]
            first[digest] = place
            kept[place] = _Tune(outcome.split, outcome.melody, outcome.notes)
    places = sorted(kept)
    tunes = [kept[place] for place in places]
    clusters = cluster([shingles(tune.melody) for tune in tunes])
    assigned = _assigned(tunes, clusters)
    splits: list[str | None] = [None] * n_tunes
    notes: Counter[str] = Counter()
    for place, tune, split in zip(places, tunes, assigned, strict=True):
        splits[place] = split
        if split:
            notes[split] += tune.notes
    return Selection(
        splits=splits,
        rejected=rejected,
        exact_duplicates=n_tunes - rejected.total() - len(tunes),
        near_duplicates=assigned.count(None),
        n_clusters=len({one for one, split in zip(clusters, assigned, strict=True) if split}),
        notes=notes,
    )


@dataclass(frozen=True, slots=True)
class _Tune:
    """What is remembered of a tune that may stay."""

    given: str | None
    melody: tuple[bytes, ...]
    notes: int


def _assigned(tunes: Sequence[_Tune], clusters: Sequence[int]) -> list[str | None]:
    """The split of each tune; None for one given for training whose cluster is held out."""
    keys = cluster_keys(clusters, [tune.melody for tune in tunes])
    if all(tune.given is None for tune in tunes):
        return _drawn(keys)
    held_out: dict[int, str] = {}
    for tune, of in zip(tunes, clusters, strict=True):
        if tune.given not in (None, "train"):
            held_out.setdefault(of, tune.given)
    draws_val = "val" not in held_out.values()
    assigned: list[str | None] = []
    for tune, of, key in zip(tunes, clusters, keys, strict=True):
        if tune.given not in (None, "train"):
            assigned.append(tune.given)
        elif of in held_out:
            assigned.append(None)
        else:
            assigned.append("val" if draws_val and draw(key) < VAL_SHARE else "train")
    return assigned


def _drawn(keys: Sequence[bytes]) -> list[str | None]:
    """The split of each tune by its cluster's key. Of a handful of clusters too, one is val and one is train."""
    splits = {key: split_of(key) for key in keys}
    if len(splits) > 1 and "val" not in splits.values():
        splits[min(splits, key=draw)] = "val"
    if len(splits) > 1 and "train" not in splits.values():
        splits[max(splits, key=draw)] = "train"
    return [splits[key] for key in keys]


def order_of_splits(splits: Iterable[str]) -> list[str]:
    """Splits in their usual order."""
    present = set(splits)
    return [split for split in SPLITS if split in present]
