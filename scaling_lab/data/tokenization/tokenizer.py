"""What every tokenizer is, and the ids that mean the same in all of them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

PAD_ID, BOS_ID, EOS_ID, UNK_ID = 0, 1, 2, 3
SPECIALS = ("<pad>", "<bos>", "<eos>", "<unk>")
UNKNOWN = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """What the rest of the package asks of any tokenizer."""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        ...

    @property
    def sha256(self) -> str:
        """Digest of all that decides how text is encoded."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without BOS and EOS."""
        ...

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; PAD, BOS and EOS give nothing."""
        ...

    def save(self, path: Path) -> None:
        """Write the tokenizer where `load_tokenizer` finds it."""
        ...
