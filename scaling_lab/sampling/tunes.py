"""Tunes that a trained run writes, and their files. Reached by `scaling-lab sample --run RUN`.

run = load_trained_run(find_run("mini-xl-seed0"))
tunes = sample_tunes(run, 8, temperature=1.0, top_p=0.95)
write_tunes(tunes, Path("samples"))
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from scaling_lab.data.tokenization.tokenizer import UNKNOWN, Tokenizer
from scaling_lab.errors import UsageError
from scaling_lab.files import not_written, written_whole
from scaling_lab.model.generation import Drawing, WatchWriting, generate
from scaling_lab.music.abc import count_notes
from scaling_lab.music.midi import write_midi
from scaling_lab.sampling.trained_run import TrainedRun

# Of a smaller model, threads wait for each other longer than they multiply: three times longer on a busy machine.
PARAMETERS_FOR_THREADS = 10_000_000


@dataclass(frozen=True)
class SampledTune:
    """One tune as a model wrote it.

    Attributes:
        title: names the size that wrote it, the seed, and its number.
        number: its place among the samples of its seed, from 1.
        text: prompt included, as the model's own data spell music.
        ended: whether the model ended it; else it was cut off at the most tokens.
    """

    title: str
    seed: int
    number: int
    text: str
    ended: bool

    @property
    def n_notes(self) -> int:
        """Notes, grace notes and each note of a chord counted."""
        return count_notes(self.text)

    @property
    def abc(self) -> str:
        """The tune as a file that any ABC program opens: with a number and a title in front."""
        own = re.sub(r"\AX:.*(\n|\Z)", "", self.text)
        return f"X:{self.number}\nT:{self.title}\n{own.rstrip()}\n"

    @property
    def stem(self) -> str:
        """Name of its files, without their ending."""
        return f"sample-seed{self.seed}-{self.number:02}"


def sample_tunes(
    run: TrainedRun,
    n: int = 8,
    *,
    temperature: float = 1.0,
    top_p: float = 0.95,
    prompt: str = "",
    max_tokens: int | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    watch: WatchWriting = lambda n_written, n_tokens: None,
) -> list[SampledTune]:
    """Let a run write `n` tunes that begin with `prompt`. Each is a function of the seed and its number alone.

    max_tokens: most tokens of a tune after the prompt; absent, what the run's context has room for. A longer tune goes
    on with what attention still spans. batch_size: tunes that are written at once, as memory allows if absent; it
    changes none of them. `watch` is told how many are written, and how long the others are. The rest as in
    `scaling_lab.model.generation.Drawing`.

    Raises:
        UsageError: if the run's data can't spell the prompt, or it is as long as the context.
    """
    start = [run.dataset.bos_id, *spelled(prompt, run.tokenizer)]
    if len(start) >= run.context:
        raise UsageError(
            f"--prompt: is {len(start) - 1:,} tokens long, and the context of {run.folder} is {run.context:,}; "
            "give a shorter one"
        )
    drawing = Drawing(max_tokens or run.context - len(start), run.context, temperature, top_p, seed)
    with _threads_for(run.model):
        written = generate(
            run.model,
            start,
            n,
            drawing,
            eos_id=run.dataset.eos_id,
            drawable_V=_drawable(run),
            batch_size=batch_size,
            watch=watch,
        )
    size = f"{run.config.ladder}-{run.config.size}"
    return [
        SampledTune(
            title=f"{size}, seed {seed}, sample {number}",
            seed=seed,
            number=number,
            text=run.tokenizer.decode([*start[1:], *document.tokens]),
            ended=document.ended,
        )
        for number, document in enumerate(written, start=1)
    ]


def write_tunes(tunes: Sequence[SampledTune], folder: Path) -> list[Path]:
    """Write each tune as an ABC file and a MIDI file into `folder`, made if absent; returns the ABC files.

    What samples of their seed the folder held before goes.

    Raises:
        UsageError: if the folder can't be written.
        StorageError: if the disk is full.
    """
    paths = [folder / f"{tune.stem}.abc" for tune in tunes]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, tune in zip(paths, tunes, strict=True):
            with written_whole(path) as stream:
                stream.write(tune.abc.encode())
            write_midi(tune.text, path.with_suffix(".mid"))
        kept = {path.stem for path in paths}
        for seed in {tune.seed for tune in tunes}:
            for old in folder.glob(f"sample-seed{seed}-*"):
                if old.suffix in (".abc", ".mid") and old.stem not in kept:
                    old.unlink()
    except OSError as error:
        raise not_written(folder, error, "give another --out") from None
    return paths


def spelled(prompt: str, tokenizer: Tokenizer) -> list[int]:
    """The ids of a prompt. Raises UsageError where they would not read back as it stands."""
    ids = tokenizer.encode(prompt)
    if tokenizer.decode(ids) == prompt:
        return ids
    strange = [
        character for character in dict.fromkeys(prompt) if UNKNOWN in tokenizer.decode(tokenizer.encode(character))
    ]
    which = " ".join(map(repr, strange)) or "the prompt as it stands"
    raise UsageError(f"--prompt: the run's data can't spell {which}; use characters that its training music has")


@contextmanager
def _threads_for(model: torch.nn.Module) -> Iterator[None]:
    """One thread for a small model while the block runs; as many as before for others."""
    before = torch.get_num_threads()
    small = sum(parameter.numel() for parameter in model.parameters()) < PARAMETERS_FOR_THREADS
    torch.set_num_threads(1 if small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _drawable(run: TrainedRun) -> torch.Tensor:
    """Whether each token of the vocabulary stands for some text, bool [V]: PAD, BOS and unknown ones don't."""

    def stands_for_text(id_: int) -> bool:
        # Twice, since some tokenizers leave out the space that a text begins with.
        return id_ != run.dataset.bos_id and run.tokenizer.decode([id_, id_]).replace(UNKNOWN, "") != ""

    known = min(run.tokenizer.vocab_size, run.model.vocab_size)
    drawable_V = torch.zeros(run.model.vocab_size, dtype=torch.bool)
    drawable_V[:known] = torch.tensor([stands_for_text(id_) for id_ in range(known)])
    return drawable_V
