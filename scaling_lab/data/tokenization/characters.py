"""One token for each character: the default.

About 80 symbols keep the embedding small on the low rungs of a ladder, and a loss in nats a token is, but for the two
tokens that frame a document, nats a character.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import orjson

from scaling_lab.data.tokenization.tokenizer import BOS_ID, EOS_ID, PAD_ID, SPECIALS, UNK_ID, UNKNOWN
from scaling_lab.files import written_whole


class CharTokenizer:
    """One token for each character: ids 0 to 3 are special, then come the characters in the order of Unicode."""

    def __init__(self, characters: Iterable[str]) -> None:
        self.characters = tuple(characters)
        self._ids = {character: id_ for id_, character in enumerate(self.characters, start=len(SPECIALS))}

    @classmethod
    def train(cls, texts: Iterable[str]) -> "CharTokenizer":
        """A tokenizer of the characters that stand in `texts`. Give it training texts only."""
        return cls(sorted(set().union(*texts)))

    @property
    def vocab_size(self) -> int:
        return len(SPECIALS) + len(self.characters)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._as_json()).hexdigest()

    def encode(self, text: str) -> list[int]:
        return [self._ids.get(character, UNK_ID) for character in text]

    def decode(self, ids: Iterable[int]) -> str:
        return "".join(self._character(int(id_)) for id_ in ids)

    def save(self, path: Path) -> None:
        with written_whole(path) as stream:
            stream.write(self._as_json())

    def _character(self, id_: int) -> str:
        if id_ in (PAD_ID, BOS_ID, EOS_ID):
            return ""
        # A vocabulary may be declared larger than the tokenizer's, and a model may then write such an id.
        return self.characters[id_ - len(SPECIALS)] if UNK_ID < id_ < self.vocab_size else UNKNOWN

    def _as_json(self) -> bytes:
        content = {"type": "char", "specials": SPECIALS, "characters": self.characters}
        return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
