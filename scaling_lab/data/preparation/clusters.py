"""Near-duplicates: which tunes are the same music, so that no tune is judged on what it was trained on.

In a random split one validation tune in six has a sibling in training. Two tunes are siblings if they share at least
half the 12-interval shingles of the smaller one; a cluster is all that siblings of siblings reach.
"""

from collections.abc import Iterator, Sequence

import numpy as np

SHARED_FRACTION = 0.5


def cluster(tunes: Sequence[np.ndarray]) -> list[int]:
    """Cluster of each tune, named by the index of the cluster's first tune. Tunes without shingles stand alone.

    Args:
        tunes: the different shingles of each tune, (n,) uint64.
    """
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


def siblings(tunes: Sequence[np.ndarray]) -> Iterator[tuple[int, int]]:
    """All pairs of tunes that share at least half of the smaller one's shingles: exact, and near to linear.

    If B holds half of A's n shingles, it holds one of any n - ceil(n/2) + 1 of them. So only A's rarest are looked up,
    and stock phrases, which stand in hundreds of tunes, are hardly ever touched.
    """
    sizes = np.array([len(tune) for tune in tunes], dtype=np.int64)
    if not sizes.sum():
        return
    # Each shingle gets a number; `holders[begins[s]:begins[s] + counts[s]]` are the tunes that have shingle s.
    _, numbers, counts = np.unique(np.concatenate(tunes), return_inverse=True, return_counts=True)
    holders = np.repeat(np.arange(len(tunes)), sizes)[np.argsort(numbers, kind="stable")]
    begins = np.cumsum(counts) - counts
    own = np.split(numbers, np.cumsum(sizes)[:-1])
    for index, shingles in enumerate(own):
        needed = max(1, -int(-len(shingles) * SHARED_FRACTION // 1))
        rarest = shingles[np.argsort(counts[shingles], kind="stable")[: len(shingles) - needed + 1]]
        others = np.unique(holders[_stretches(begins[rarest], counts[rarest])])
        # The smaller tune of a pair finds the larger, and of two of one size the first finds the second.
        larger = (sizes[others] > len(shingles)) | ((sizes[others] == len(shingles)) & (others > index))
        for other in others[larger].tolist():
            if len(np.intersect1d(shingles, own[other], assume_unique=True)) >= needed:
                yield index, other


def _stretches(begins: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The whole numbers of all [begin, begin + length), one stretch after the other."""
    ends = np.cumsum(lengths)
    return np.repeat(begins - (ends - lengths), lengths) + np.arange(ends[-1] if len(ends) else 0)
