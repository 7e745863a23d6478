"""Which split a group of documents belongs to: a hash of the group alone decides, so that adding files moves nothing.

A hash knows no neighbours: whatever else is in the corpus, in whatever order, a key falls into the same split.
"""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

VAL_SHARE = 0.05
TEST_SHARE = 0.05


def draw(key: bytes) -> float:
    """A number in [0, 1) that looks random and depends on the key alone."""
    return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") / 2**64


def split_of(key: bytes) -> str:
    """`val` for 5 % of keys, `test` for 5 %, `train` for the rest."""
    drawn = draw(key)
    if drawn < VAL_SHARE:
        return "val"
    return "test" if drawn < VAL_SHARE + TEST_SHARE else "train"


def cluster_keys(clusters: Sequence[int], melodies: Sequence[tuple[bytes, ...]]) -> list[bytes]:
    """The key of each document's cluster: the least hash among its members' melodies.

    A melody outlives a change of spelling, and a least hash does not depend on order. A new document can change the
    key of no cluster but the one that it joins, and that only if its own hash is the least.
    """
    members: dict[int, list[bytes]] = defaultdict(list)
    for cluster, voices in zip(clusters, melodies, strict=True):
        members[cluster].append(hashlib.sha256(b"\n".join(voices)).digest())
    least = {cluster: min(digests) for cluster, digests in members.items()}
    return [least[cluster] for cluster in clusters]
