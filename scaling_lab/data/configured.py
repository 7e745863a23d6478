"""The dataset that a run's configuration names, or the one that is meant where it names none."""

from pathlib import Path

from scaling_lab.config.schema import DataConfig
from scaling_lab.data.dataset import Dataset, open_dataset
from scaling_lab.data.packing.guide_format import is_missing
from scaling_lab.data.preparation.prepare import ensure_core

GUIDE_DIR = Path("data/processed/tokenized")
CORE_DIR = Path("data/music21-core")


def default_data_dir() -> Path:
    """The guide's folder where it exists, else that of the default corpus. Both relative to the working directory.

    Raises `DataError` where the guide's is a link that leads nowhere.
    """
    return CORE_DIR if is_missing(GUIDE_DIR) else GUIDE_DIR


def prepared_data_dir(directory: Path | None) -> Path:
    """`directory`, or that of `default_data_dir`, where the default corpus is prepared on the spot.

    Raises `DataError` as `ensure_core` does.
    """
    if directory is None and (directory := default_data_dir()) == CORE_DIR:
        ensure_core(directory)
    return directory


def open_configured(data: DataConfig) -> Dataset:
    """The dataset in `data.dir`, or the default one. Raises `DataError` as `open_dataset` does."""
    directory = prepared_data_dir(data.dir)
    return open_dataset(directory, vocab_size=data.vocab_size, bos_id=data.bos_id, eos_id=data.eos_id)
