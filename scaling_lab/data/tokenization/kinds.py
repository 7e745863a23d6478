"""A tokenizer by its name on the command line (`char`, `bpe:2000`), and one that was saved."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from scaling_lab.data.tokenization import bpe
from scaling_lab.data.tokenization.bpe import BPETokenizer
from scaling_lab.data.tokenization.characters import CharTokenizer
from scaling_lab.data.tokenization.tokenizer import SPECIALS, Tokenizer
from scaling_lab.errors import DataError, UsageError

_SMALLEST, _LARGEST = 256, 2**16


@dataclass(frozen=True)
class TokenizerKind:
    """Which tokenizer is wanted: by character, or `vocab_size` tokens of byte-pair encoding."""

    vocab_size: int | None = None

    @classmethod
    def parse(cls, name: str) -> "TokenizerKind":
        """Raises `UsageError` for another name, or where the package that it needs is missing."""
        if name == "char":
            return cls()
        kind, _, size = name.partition(":")
        if kind != "bpe" or not size.isdecimal() or not _SMALLEST <= int(size) <= _LARGEST:
            raise UsageError(
                f"--tokenizer {name}: must be char, or bpe:N with N from {_SMALLEST} to {_LARGEST:,}, such as bpe:2000"
            )
        if not bpe.is_installed():
            raise UsageError(f"--tokenizer {name}: needs the package tokenizers; run `{bpe.INSTALL}`")
        return cls(int(size))

    def __str__(self) -> str:
        return "char" if self.vocab_size is None else f"bpe:{self.vocab_size}"

    def train(self, texts: Iterable[str]) -> Tokenizer:
        """A tokenizer of this kind. Give it training texts only."""
        return CharTokenizer.train(texts) if self.vocab_size is None else BPETokenizer.train(texts, self.vocab_size)


def load_tokenizer(path: Path) -> Tokenizer | None:
    """The tokenizer saved at `path`; None if it is of a kind that can't be read here.

    Raises `DataError` if the file is missing or damaged.
    """
    try:
        raw = path.read_bytes()
        content = orjson.loads(raw)
    except (OSError, orjson.JSONDecodeError) as error:
        raise DataError(f"{path}: not a tokenizer ({error}); prepare the data again") from error
    match content:
        case {"type": "char", "specials": specials, "characters": [*characters]} if tuple(specials) == SPECIALS:
            if all(isinstance(character, str) and len(character) == 1 for character in characters):
                return CharTokenizer(characters)
            raise DataError(f"{path}: characters: must be a list of single characters; prepare the data again")
        case {"model": {"type": _}, "added_tokens": _} if bpe.is_installed():
            try:
                return BPETokenizer(raw)
            except DataError as error:
                raise DataError(f"{path}: {error}; prepare the data again") from error
    return None
