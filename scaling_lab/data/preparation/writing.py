"""A prepared dataset written down: documents in the guide's layout, tokenizer, meta.json, and what was rejected."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from scaling_lab.data.conversion.converted import Converted
from scaling_lab.data.meta import Meta
from scaling_lab.data.packing.guide_format import Document, write_jsonl
from scaling_lab.data.packing.manifest import PIPELINE_VERSION
from scaling_lab.data.preparation.selection import Selection, order_of_splits
from scaling_lab.data.sources.source import Source
from scaling_lab.data.tokenization.kinds import TokenizerKind
from scaling_lab.data.tokenization.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizer
from scaling_lab.files import written_whole
from scaling_lab.music.transpose import in_all_keys

TOKENIZER_FILE = "tokenizer.json"
REJECTS_FILE = "rejects.jsonl"


@dataclass(frozen=True)
class Tunes:
    """The tunes of a source that stay, read from disk as often as need be.

    transpose: training tunes come in the other keys of their mode too.
    """

    converted: Converted
    selection: Selection
    transpose: bool

    def of(self, split: str) -> Iterator[tuple[str, str]]:
        """Place and text of each document of a split, in the order of the source."""
        for outcome, own in zip(self.converted, self.selection.splits, strict=True):
            if own == split:
                yield outcome.place, outcome.text
                if self.transpose and split == "train":
                    yield from ((f"{outcome.place} in {key}", text) for key, text in in_all_keys(outcome.text))


def write_dataset(folder: Path, source: Source, tunes: Tunes, kind: TokenizerKind) -> None:
    """Write everything but what packing makes into the empty `folder`; the same tunes give the same bytes."""
    tokenizer = kind.train(text for _, text in tunes.of("train"))
    tokenizer.save(folder / TOKENIZER_FILE)
    for split in order_of_splits(own for own in tunes.selection.splits if own):
        (folder / split).mkdir()
        documents = (_document(place, text, tokenizer) for place, text in tunes.of(split))
        write_jsonl(folder / split / "data.json", documents)
    _meta(source, tokenizer).save(folder)
    with written_whole(folder / REJECTS_FILE) as stream:
        for outcome in tunes.converted:
            if outcome.reason:
                reject = {"place": outcome.place, "reason": outcome.reason}
                stream.write(orjson.dumps(reject, option=orjson.OPT_APPEND_NEWLINE))


def _document(place: str, text: str, tokenizer: Tokenizer) -> Document:
    return Document([BOS_ID, *tokenizer.encode(text), EOS_ID], text, place)


def _meta(source: Source, tokenizer: Tokenizer) -> Meta:
    return Meta(
        name=source.name,
        vocab_size=tokenizer.vocab_size,
        pad_id=PAD_ID,
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        tokenizer_file=TOKENIZER_FILE,
        tokenizer_sha256=tokenizer.sha256,
        pipeline_version=PIPELINE_VERSION,
        licence=source.licence,
        source=source.origin,
        source_sha256=source.sha256(),
    )
