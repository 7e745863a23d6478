"""A run that was trained, ready to write: which folder it is, its best model, and the tokenizer of its data.

What is read, and where it is from:

best_model.pt   weights, architecture, size of the vocabulary, and the fingerprint of the data they were trained on;
                where it is gone, best_model.safetensors, which holds the same
config.yaml     the folder of those data, the ids that frame a document, the context
the data        the tokenizer; a fingerprint covers it, so data of the same fingerprint have the same one
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from scaling_lab.config import RunConfig, load_config
from scaling_lab.config.schema import ModelConfig
from scaling_lab.data.configured import open_configured
from scaling_lab.data.dataset import Dataset
from scaling_lab.data.tokenization.tokenizer import Tokenizer
from scaling_lab.errors import CheckpointError, DataError, UsageError
from scaling_lab.model.transformer import Transformer
from scaling_lab.tracking.results import (
    BEST_MODEL_NAME,
    BEST_WEIGHTS_NAME,
    CONFIG_NAME,
    TRAIN_ANEW,
    read_results,
)
from scaling_lab.training.checkpoint import load_tensors, load_weights

OUTPUTS = Path("outputs")


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run's best model with all that it takes to write text. The model is in evaluation mode, fp32."""

    folder: Path
    config: RunConfig
    model: Transformer
    dataset: Dataset
    tokenizer: Tokenizer

    @property
    def context(self) -> int:
        """Longest stretch that attention spanned while it was trained, in tokens."""
        return self.config.data.sequence_length


def find_run(name: str | Path) -> Path:
    """The folder of a run: the one that `name` is, or the one of that name in `outputs`.

    Raises:
        UsageError: if neither holds a run, or the run has no configuration or no best model.
        CheckpointError: if its results are damaged.
    """
    for folder in (Path(name), OUTPUTS / name):
        has_model = _best_file(folder).is_file()
        if (folder / CONFIG_NAME).is_file():
            if not has_model:
                raise UsageError(f"{folder}: {_why_without_model(folder)}")
            return folder
        if has_model:
            raise UsageError(f"{folder / CONFIG_NAME}: is no file; put the run's own there, or {TRAIN_ANEW}")
    known = sorted(path.parent.name for path in OUTPUTS.glob(f"*/{BEST_MODEL_NAME}"))
    hint = f"{OUTPUTS} holds {', '.join(known)}" if known else "train one with `scaling-lab train`"
    raise UsageError(f"{name}: is no run's folder, nor is {OUTPUTS / name}; {hint}")


def _best_file(folder: Path) -> Path:
    """The file of a run's best model."""
    paths = [folder / name for name in (BEST_MODEL_NAME, BEST_WEIGHTS_NAME)]
    return next((path for path in paths if path.is_file()), paths[0])


def _why_without_model(folder: Path) -> str:
    if (read_results(folder) or {}).get("state") == "complete":
        return f"is complete, and its {BEST_MODEL_NAME} is gone; put the file back, or {TRAIN_ANEW}"
    return f"has no {BEST_MODEL_NAME} yet; a run writes it at its first evaluation, so let it train on"


def load_trained_run(folder: Path, data_dir: Path | None = None) -> TrainedRun:
    """The best model of the run in `folder`; on a GPU if there is one.

    data_dir: where its data are now. Absent: where they were when it was trained.

    Raises:
        CheckpointError: if the best model is damaged, or holds more than tensors and plain values.
        ConfigError: if config.yaml is damaged.
        DataError: if the data are gone, are others than it was trained on, or have no tokenizer.
    """
    config = load_config(folder / CONFIG_NAME, environ={})
    model, fingerprint = _best_model(_best_file(folder))
    dataset = _its_data(folder, config, fingerprint, data_dir)
    assert dataset.tokenizer is not None
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return TrainedRun(folder, config, model.to(device), dataset, dataset.tokenizer)


def _best_model(path: Path) -> tuple[Transformer, str]:
    """The model, and the fingerprint of the data that it was trained on."""
    saved = load_tensors(path) if path.name == BEST_MODEL_NAME else load_weights(path)
    try:
        architecture, fingerprint = ModelConfig.model_validate(saved["config"]), str(saved["data_fingerprint"])
        model = Transformer(architecture, int(saved["vocab_size"]), seed=None)
        model.load_state_dict(saved["model"])
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"{path}: holds no model of ours ({type(error).__name__}: {reason}); {TRAIN_ANEW}"
        ) from None
    return model.eval(), fingerprint


def _its_data(folder: Path, config: RunConfig, fingerprint: str, data_dir: Path | None) -> Dataset:
    """The data that the run was trained on, which have a tokenizer."""
    data = config.data if data_dir is None else config.data.model_copy(update={"dir": data_dir})
    if data.dir is not None and not data.dir.is_dir():
        raise DataError(
            f"{data.dir}: is no folder here, and the tokenizer of {folder} is among its data; "
            "give --data-dir with the folder that they are in now"
        )
    dataset = open_configured(data)
    if dataset.tokenizer is None:
        raise DataError(
            f"{dataset.dir}: names no tokenizer that can be read here, so what {folder} writes can't be turned into "
            "text; put meta.json and the tokenizer it names beside the splits"
        )
    if dataset.fingerprint != fingerprint:
        raise DataError(
            f"{dataset.dir}: holds other data ({dataset.fingerprint}) than {folder} was trained on ({fingerprint}), "
            "so its tokens may mean other characters; give --data-dir with the folder of those data"
        )
    return dataset
