"""Folders of runs, as training leaves them, written as plain JSON: a study of any shape in a few milliseconds."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scaling_lab.history.runs import read_runs
from scaling_lab.music.measures import Reference, measure, standard_errors
from scaling_lab.sampling.music_file import RunMusic, WrittenTune, write_music
from scaling_lab.studies.analysis import StudyAnalysis, analyse

# d_model, n_layers, n_heads, d_ff, and total parameters.
ARCHITECTURES = {
    "tiny": (32, 1, 1, 128, 15_008),
    "small": (48, 2, 2, 192, 59_424),
    "medium": (64, 3, 2, 256, 152_896),
    "large": (96, 4, 3, 384, 451_296),
    "xl": (128, 6, 4, 512, 1_191_040),
}
TOKENS_A_STEP = 4096
# Bits over nats a token, where a character is a token, some take two bytes, and half are notes.
BITS = {"val/bits_per_character": 1.45, "val/bits_per_byte": 1.4, "val/bits_per_note": 2.9}


def power_law(n: float) -> float:
    """A law that five sizes identify, its floor well above nothing."""
    return 60 * n**-0.45 + 1.2


@dataclass(frozen=True)
class Study:
    """A folder to write runs into.

    loss: the expected validation loss at N. noise: its relative standard deviation from run to run. draw: of the noise;
    studies of one draw have the same.
    """

    folder: Path
    loss: Callable[[float], float] = power_law
    noise: float = 0.0
    n_steps: int = 60
    draw: str = ""
    warmup_fraction: float = 0.05

    def write(self, *, sizes: tuple[str, ...] = tuple(ARCHITECTURES), seeds: int = 1) -> "Study":
        """A complete run for each size and seed."""
        for size in sizes:
            for seed in range(seeds):
                self.write_run(size, seed)
        return self

    def write_run(
        self, size: str, seed: int = 0, *, journal: list[dict[str, Any]] | None = None, **changes: Any
    ) -> Path:
        """One run's folder; `changes` replace keys of its results, and `journal` the rows it logged."""
        val_loss = self._val_loss(size, seed)
        rows = self._rows(size, val_loss) if journal is None else journal
        run_dir = self.folder / f"mini-{size}-seed{seed}"
        run_dir.mkdir(parents=True)
        results = self._results(size, seed, val_loss) | changes
        (run_dir / "training_results.json").write_text(json.dumps(results))
        lines = [json.dumps(row) for row in [{"schema_version": 1}, *rows]]
        (run_dir / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        return run_dir

    def write_unfinished(self, size: str, steps: int, **changes: Any) -> Path:
        """One run's folder as it is on its way: the rows of its first steps, and results without a loss."""
        rows = [row for row in self._rows(size, self._val_loss(size, 0)) if row["train/step"] <= steps]
        return self.write_run(size, journal=rows, **{"final_val_loss": None, "best_val_loss": None, **changes})

    def analysis(self) -> StudyAnalysis:
        """What the package makes of the folder."""
        return analyse(*read_runs(self.folder))

    def _val_loss(self, size: str, seed: int) -> float:
        draw = random.Random(f"{size} {seed}{self.draw}").gauss(0, 1)
        return self.loss(ARCHITECTURES[size][-1]) * (1 + self.noise * draw)

    def _rows(self, size: str, val_loss: float) -> list[dict[str, Any]]:
        noise = random.Random(size)
        rows = []
        for step in range(1, self.n_steps + 1):
            place = {
                "train/step": step,
                "train/tokens": step * TOKENS_A_STEP,
                "train/flops": 6.0 * ARCHITECTURES[size][-1] * step * TOKENS_A_STEP,
            }
            expected = val_loss + (4.4 - val_loss) * math.exp(-6 * step / self.n_steps)
            rows.append(place | self._measured(size, step, expected * (1 + noise.gauss(0, 0.02))))
            if step % (self.n_steps // 5) == 0:
                rows.append(place | {"val/loss": expected} | {name: factor * expected for name, factor in BITS.items()})
        return rows

    def _measured(self, size: str, step: int, loss: float) -> dict[str, float]:
        tokens_per_second = 2e9 / ARCHITECTURES[size][-1]
        return {
            "train/loss": loss,
            "train/grad_norm": 0.3 + 2 / step,
            "train/learning_rate": 0.003 * (1 - step / self.n_steps),
            "perf/tokens_per_second": tokens_per_second,
            "perf/step_seconds": TOKENS_A_STEP / tokens_per_second,
            "perf/mfu": 0.19,
        }

    def _results(self, size: str, seed: int, val_loss: float) -> dict[str, Any]:
        d_model, n_layers, n_heads, d_ff, total = ARCHITECTURES[size]
        model = {"d_model": d_model, "n_layers": n_layers, "n_heads": n_heads, "d_ff": d_ff, "head_dim": None}
        recipe = {"batch_size_tokens": TOKENS_A_STEP, "tokens": None, "epochs": 1.0, "learning_rate": 0.003}
        recipe |= {
            "warmup_fraction": self.warmup_fraction,
            "schedule": "cosine",
            "weight_decay": 0.01,
            "grad_clip": 1.0,
        }
        tokens = self.n_steps * TOKENS_A_STEP
        return {
            "schema_version": 1,
            "state": "complete",
            "name": f"mini-{size}-seed{seed}",
            "ladder": "mini",
            "size": size,
            "seed": seed,
            "started_at": "2026-01-02T03:04:05+00:00",
            "updated_at": "2026-01-02T03:14:05+00:00",
            "wandb_url": None,
            "parameters": {"non_embedding": total - 82 * d_model, "total": total, "matmul": total - 3 * d_model},
            "flops_per_token": 6.4 * total,
            "total_flops": 6.4 * total * tokens,
            "steps": self.n_steps,
            "tokens": tokens,
            "epochs": 1.0,
            "data": DATA,
            "machine": {"device": "cpu", "precision": "fp32", "threads": 1, "processor": "a processor"},
            "versions": {"scaling-lab": "0.1.0", "python": "3.11.7", "torch": "2.13.0"},
            "git_commit": "0123456789abcdef0123456789abcdef01234567",
            "config": {"output_dir": "outputs", "model": model, "recipe": recipe},
            "identity": {
                **{f"recipe.{name}": value for name, value in recipe.items()},
                "ladder": "mini",
                "size": size,
                "seed": seed,
                "data.fingerprint": DATA["fingerprint"],
            },
            "final_train_loss": 0.98 * val_loss,
            "final_val_loss": val_loss,
            "best_val_loss": val_loss,
            "best_step": self.n_steps,
            **{name.removeprefix("val/"): factor * val_loss for name, factor in BITS.items()},
            "tokens_per_second": 2e9 / total,
            "mfu": 0.19,
            "training_seconds": tokens * total / 2e9,
            "peak_memory_bytes": 373_260_288,
        }


DATA = {
    "name": "music21-core",
    "fingerprint": "e46f4ac57c54",
    "vocab_size": 82,
    "train_tokens": 892_902,
    "val_tokens": 49_554,
    "licence": "traditional tunes",
}


GIVEN = "M:4/4\nL:1/8\nK:D\nDEFA|"
FREE = "M:6/8\nL:1/8\nQ:1/4=200\nK:G\n|:GAB c2d|edc BAG:|\nG3 [GBd]3|z3 (3GAB c|]\n"


def write_some_music(study: Study, *, free: str = FREE, prompt: str = GIVEN, n_free: int = 4) -> None:
    """What every run of a study wrote, as if sampled: tunes with one beginning, where there is one, and free ones."""
    for run in study.analysis().runs:
        alike = tuple(WrittenTune(f"{prompt}d{number}e f2|d8|]\n", ended=True) for number in (2, 3)) if prompt else ()
        texts = [free] * n_free
        reference = Reference.of([FREE], [GIVEN])
        measures, errors = measure(texts, reference), standard_errors(texts, reference)
        music = RunMusic(
            best_val_loss=run.results["best_val_loss"],
            prompt=prompt,
            prompted=alike,
            free=tuple(WrittenTune(text, ended=False) for text in texts),
            samples=measures,
            held_out=measures,
            samples_errors=errors,
            held_out_errors=errors,
            temperature=1.0,
            top_p=0.95,
            seed=0,
            max_tokens=1024,
        )
        write_music(music, run.folder)
