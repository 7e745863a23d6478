"""Near-duplicates: which tunes are the same music, so that no tune is judged on what it was trained on.

In a random split one validation tune in six has a sibling in training. Two tunes are siblings if they share at least
half the 12-interval shingles of the smaller one; a cluster is all that siblings of siblings reach.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

SHARED_FRACTION = 0.5

Shingles = frozenset[bytes]


def cluster(tunes: Sequence[Shingles]) -> list[int]:
    """Cluster of each tune, named by the index of the cluster's first tune. Tunes without shingles stand alone."""
    parents = list(range(len(tunes)))

    def root(tune: int) -> int:
        while parents[tune] != tune:
            parents[tune] = parents[parents[tune]]
            tune = parents[tune]
        return tune

    for one, other in siblings(tunes):
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return [root(tune) for tune in range(len(tunes))]


def siblings(tunes: Sequence[Shingles]) -> Iterator[tuple[int, int]]:
    """All pairs of tunes that share at least half of the smaller one's shingles: exact, and near to linear.

    If B holds half of A's n shingles, it holds one of any n - ceil(n/2) + 1 of them. So only A's rarest are looked up,
    and stock phrases, which stand in hundreds of tunes, are hardly ever touched.
    """
    holders: dict[bytes, list[int]] = defaultdict(list)
    for index, tune in enumerate(tunes):
        for shingle in tune:
            holders[shingle].append(index)
    for index, tune in enumerate(tunes):
        needed = _needed(tune)
        rarest = sorted(tune, key=lambda shingle: (len(holders[shingle]), shingle))[: len(tune) - needed + 1]
        candidates = {other for shingle in rarest for other in holders[shingle]}
        for other in candidates:
            larger = (len(tunes[other]), other) > (len(tune), index)
            if larger and len(tune & tunes[other]) >= needed:
                yield index, other


def _needed(tune: Shingles) -> int:
    """How many shingles of this tune another must hold to be its sibling."""
    return max(1, -int(-len(tune) * SHARED_FRACTION // 1))
