"""Every size of a study writes music: from one common prompt, so that sizes can be heard side by side, and freely."""

from collections.abc import Callable, Sequence
from pathlib import Path

from scaling_lab.history.runs import RunRecord
from scaling_lab.model.generation import WatchWriting
from scaling_lab.music.symbols import BAR_LINE, split_header
from scaling_lab.sampling import FREE_TUNES
from scaling_lab.sampling.listening import Listener, texts_of
from scaling_lab.sampling.music_file import (
    RunMusic,
    WrittenTune,
    folder_of,
    make_place,
    read_music,
    write_music,
    writers,
)
from scaling_lab.sampling.trained_run import TrainedRun, find_run, load_trained_run
from scaling_lab.sampling.tunes import sample_tunes

N_PROMPTED = 2
TEMPERATURE, TOP_P, SEED = 1.0, 0.95, 0
# Longer than nearly every tune, and than some contexts, from where on attention spans what it can; a score of 5,000
# tokens would take a large model minutes.
MOST_TOKENS = 1_024

_PROMPT_BARS = 2
# Of the held-out tunes, so many are asked for a beginning; it takes half of the context at most.
_TUNES_ASKED = 200

# Told as a size begins: its name, and how many tunes it will write. What comes back is told how far it is.
WatchSizes = Callable[[str, int], WatchWriting]


def let_study_write(
    runs: Sequence[RunRecord],
    outputs: Path,
    *,
    n_free: int = FREE_TUNES,
    data_dir: Path | None = None,
    watch: WatchSizes = lambda name, n: lambda n_written, n_tokens: None,
) -> list[Path]:
    """Let one run of each size write; those that have, and as much, don't write again. The files that were written.

    runs: complete ones of one study. outputs: where folders are of runs that were pulled from a server.

    Raises:
        UsageError: if a run's folder isn't here, has no best model, or can't be written to.
        StorageError: if the disk is full.
        CheckpointError: if a best model is damaged.
        DataError: if the data are gone or changed, or no tokenizer turns their tokens into text.
    """
    paths: list[Path] = []
    listener: Listener | None = None
    for run in writers(runs):
        there = read_music(run, outputs)
        if there is not None and len(there.free) == n_free:
            continue
        trained = load_trained_run(find_run(folder_of(run, outputs)), data_dir)
        make_place(trained.folder)  # before minutes of writing
        listener = listener or Listener(trained, n_free)
        music = _music(trained, run, n_free, listener, watch)
        paths.append(write_music(music, trained.folder))
    return paths


def common_prompt(run: TrainedRun) -> str:
    """Header and first bars of the first held-out tune that has them, the same for all runs of its data; else empty."""
    for text in texts_of(run, run.dataset.val, _TUNES_ASKED):
        head, key, body = split_header(text)
        # A bar line that closes nothing, as `|:` at the beginning, closes no bar.
        bars = [match.end() for match in BAR_LINE.finditer(body) if body[: match.start()].strip()]
        if not key or len(bars) <= _PROMPT_BARS:
            continue
        prompt = head + key + body[: bars[_PROMPT_BARS - 1]]
        ids = run.tokenizer.encode(prompt)
        if len(ids) <= run.context // 2 and run.tokenizer.decode(ids) == prompt:
            return prompt
    return ""


def _music(trained: TrainedRun, run: RunRecord, n_free: int, listener: Listener, watch: WatchSizes) -> RunMusic:
    prompt = common_prompt(trained)
    n_prompted = N_PROMPTED if prompt else 0
    told = watch(run.name, n_prompted + n_free)

    def write(n: int, prompt: str, before: int) -> tuple[WrittenTune, ...]:
        tunes = sample_tunes(
            trained,
            n,
            temperature=TEMPERATURE,
            top_p=TOP_P,
            prompt=prompt,
            max_tokens=MOST_TOKENS,
            seed=SEED,
            watch=lambda n_written, n_tokens: told(before + n_written, n_tokens),
        )
        return tuple(WrittenTune(tune.text, tune.ended) for tune in tunes)

    prompted = write(n_prompted, prompt, 0) if prompt else ()
    free = write(n_free, "", n_prompted)
    texts = [tune.text for tune in free]
    heard, (samples_errors, held_out_errors) = listener.listen(texts), listener.errors(texts)
    return RunMusic(
        best_val_loss=run.results["best_val_loss"],
        prompt=prompt,
        prompted=prompted,
        free=free,
        samples=heard.samples,
        held_out=heard.held_out,
        samples_errors=samples_errors,
        held_out_errors=held_out_errors,
        temperature=TEMPERATURE,
        top_p=TOP_P,
        seed=SEED,
        max_tokens=MOST_TOKENS,
    )
