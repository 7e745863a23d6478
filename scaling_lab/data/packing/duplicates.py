"""Documents that are the same, id by id: training documents that also stand in val or test, and how much is unique.

Equal documents have equal digests. Digests are looked at a share at a time, each of those that leave one remainder, so
that equal ones are always seen together and a large corpus takes no more memory than a small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scaling_lab.data.packing.spool import Spool

# Splits are numbered as SPLITS orders them: training documents are of split 0, held-out ones of a higher.
TRAIN, LEFT_OUT = 0, 255
SHARE_DOCUMENTS = 1 << 18

_ROW = np.dtype([("digest", "<u8", 2), ("place", "<i8"), ("length", "<u4"), ("spool", "u1"), ("split", "u1")])


@dataclass
class Duplicates:
    """What was found.

    Attributes:
        removed: training documents that also stand in another split.
        unique_documents: different documents of each split, by its number, without those removed.
        unique_ids: ids of these, BOS and EOS not counted.
    """

    removed: int
    unique_documents: np.ndarray
    unique_ids: np.ndarray


def leave_out_held_out(spools: Sequence[Spool], splits: Sequence[np.ndarray], n_splits: int) -> Duplicates:
    """Take out of train what also stands in val or test.

    splits: for each spool (documents,) uint8, the split of each document; LEFT_OUT is written for those taken out.
    """
    found = Duplicates(0, np.zeros(n_splits, dtype=np.int64), np.zeros(n_splits, dtype=np.int64))
    n_shares = -(-sum(spool.n_documents for spool in spools) // SHARE_DOCUMENTS)
    for share in range(n_shares):
        rows = _share(spools, splits, share, n_shares)
        new = np.ones(len(rows), dtype=bool)
        new[1:] = (rows["digest"][1:] != rows["digest"][:-1]).any(axis=1)
        number = np.cumsum(new) - 1  # equal documents have one number
        is_held_out = np.zeros(len(rows), dtype=bool)
        is_held_out[number[rows["split"] != TRAIN]] = True
        repeated = (rows["split"] == TRAIN) & is_held_out[number]
        for index, split in enumerate(splits):
            split[rows["place"][repeated & (rows["spool"] == index)]] = LEFT_OUT
        found.removed += int(repeated.sum())
        for split in range(n_splits):
            own = np.flatnonzero((rows["split"] == split) & ~repeated)
            _, first = np.unique(number[own], return_index=True)
            found.unique_documents[split] += len(first)
            found.unique_ids[split] += rows["length"][own[first]].sum(dtype=np.int64)
    return found


def _share(spools: Sequence[Spool], splits: Sequence[np.ndarray], share: int, n_shares: int) -> np.ndarray:
    """The documents of one share, (n,) _ROW, equal ones side by side."""
    parts = []
    for index, (spool, split) in enumerate(zip(spools, splits, strict=True)):
        begin = 0
        for facts in spool.facts():
            own = np.flatnonzero(facts["digest"][:, 0] % np.uint64(n_shares) == share)
            rows = np.empty(len(own), _ROW)
            rows["digest"], rows["length"] = facts["digest"][own], facts["length"][own]
            rows["place"], rows["spool"], rows["split"] = begin + own, index, split[begin + own]
            parts.append(rows)
            begin += len(facts)
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows["digest"][:, 1], rows["digest"][:, 0]))]
