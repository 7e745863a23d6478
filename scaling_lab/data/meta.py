"""meta.json: what token ids mean. It lies beside the splits of a prepared dataset; a user's own data may lack it."""

from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scaling_lab.data.packing.guide_format import is_file_there
from scaling_lab.data.tokenization.kinds import load_tokenizer
from scaling_lab.data.tokenization.tokenizer import Tokenizer
from scaling_lab.errors import DataError
from scaling_lab.files import written_whole

META_FILE = "meta.json"


class Meta(BaseModel):
    """The content of meta.json. Keys of other programs are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    vocab_size: int = Field(ge=1, le=2**31, description="Number of token ids, special ones included.")
    pad_id: int | None = Field(default=None, ge=0, description="Id that fills up a batch; never in a document.")
    bos_id: int | None = Field(default=None, ge=0, description="Id that opens a document.")
    eos_id: int | None = Field(default=None, ge=0, description="Id that ends a document.")
    tokenizer_file: str | None = Field(default=None, description="The tokenizer, beside meta.json.")
    tokenizer_sha256: str | None = Field(default=None, description="Digest of that file.")
    pipeline_version: int | None = Field(default=None, description="Version of the code that prepared the data.")
    name: str | None = Field(default=None, description="What the dataset is called.")
    licence: str | None = Field(default=None, description="Terms under which the music may be used.")
    source: str | None = Field(default=None, description="Where the music came from.")
    source_sha256: str | None = Field(default=None, description="Digest of the files it came from.")

    @model_validator(mode="after")
    def _ids_fit(self) -> "Meta":
        for name in ("pad_id", "bos_id", "eos_id"):
            id_ = getattr(self, name)
            if id_ is not None and id_ >= self.vocab_size:
                raise ValueError(f"{name} {id_} is not below vocab_size {self.vocab_size}")
        return self

    def save(self, directory: Path) -> None:
        """Write meta.json into `directory`."""
        content = self.model_dump(exclude_none=True)
        with written_whole(directory / META_FILE) as stream:
            stream.write(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def read_meta(directory: Path) -> Meta | None:
    """The meta.json of `directory`, or None if there is none. Raises `DataError`, naming the key, if it is wrong."""
    path = directory / META_FILE
    if not is_file_there(path):
        return None
    try:
        return Meta.model_validate_json(path.read_bytes())
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"])) or "content"
        raise DataError(f"{path}: {key}: {fault['msg']}; correct it, or remove the file to go without") from error


def tokenizer_of(directory: Path, meta: Meta) -> Tokenizer | None:
    """The tokenizer that `meta` names; None if it names none, or one of a kind that this version does not read.

    Raises `DataError` if it is not the one the data were made with.
    """
    if meta.tokenizer_file is None:
        return None
    path = directory / meta.tokenizer_file
    tokenizer = load_tokenizer(path)
    if tokenizer is not None and meta.tokenizer_sha256 not in (None, tokenizer.sha256):
        raise DataError(f"{path}: changed since the data were prepared with it (see {META_FILE}); prepare them again")
    return tokenizer
