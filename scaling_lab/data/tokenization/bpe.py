"""Byte-pair encoding by the package `tokenizers`, in its own file format: any program that reads that reads ours.

Text is cut at bar lines before pairs are counted, so a token is a piece of one bar: of ABC 2.0 to 3.3 characters a
token, where the split that suits English gives 1.4.
"""

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_lab.data.tokenization.tokenizer import SPECIALS, UNKNOWN
from scaling_lab.errors import DataError
from scaling_lab.files import written_whole

if TYPE_CHECKING:
    pass

INSTALL = "pip install 'scaling-lab[bpe]'"

# A bar with the bar line, or a line with its end.
_BAR = r"[^|\n]*(?:[|\]:]+|\n)?"
_UNK = SPECIALS[-1]


def is_installed() -> bool:
    """Whether the package `tokenizers` is there."""
    return find_spec("tokenizers") is not None


class BPETokenizer:
    """A tokenizer of the package `tokenizers`: one that was trained here, or a user's own of any model."""

    def __init__(self, content: bytes) -> None:
        """`content` is that of its file. Raises `DataError` if the package can't read it."""
        from tokenizers import Tokenizer as LibraryTokenizer

        self._content = content
        try:
            self._inner: LibraryTokenizer = LibraryTokenizer.from_buffer(content)
        except Exception as error:
            raise DataError(f"not a tokenizer that the package tokenizers can read: {error}") from error
        self._unk_id = self._inner.token_to_id(_UNK)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "BPETokenizer":
        """A tokenizer of at most `vocab_size` ids, special ones included. Give it training texts only."""
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        inner = Tokenizer(models.BPE(unk_token=_UNK))
        inner.pre_tokenizer = pre_tokenizers.Split(Regex(_BAR), "isolated")  # type: ignore[assignment]
        inner.decoder = decoders.Fuse()  # type: ignore[assignment]
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size, special_tokens=list(SPECIALS), min_frequency=2, show_progress=False
        )
        inner.train_from_iterator(texts, trainer)
        return cls((inner.to_str(pretty=True) + "\n").encode())

    @property
    def vocab_size(self) -> int:
        return self._inner.get_vocab_size()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._content).hexdigest()

    def encode(self, text: str) -> list[int]:
        return self._inner.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Iterable[int]) -> str:
        """Text of ids; special ones give nothing, but that for the unknown, and ids beyond the vocabulary."""
        pieces: list[str] = []
        known: list[int] = []
        for id_ in map(int, ids):
            if id_ != self._unk_id and id_ < self.vocab_size:
                known.append(id_)
                continue
            pieces += [self._inner.decode(known, skip_special_tokens=True), UNKNOWN]
            known = []
        return "".join([*pieces, self._inner.decode(known, skip_special_tokens=True)])

    def save(self, path: Path) -> None:
        with written_whole(path) as stream:
            stream.write(self._content)
