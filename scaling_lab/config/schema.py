"""What a run is: one frozen, validated object that every later stage reads.

`scaling-lab config schema` prints it as JSON Schema.

Every field carries its description and its bounds; `--help` and docs/config.md are made from them. Values come from
presets, a YAML file, the environment and the command line (see `scaling_lab.config.resolve`); this file knows only
what is valid.
"""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Size = Literal["tiny", "small", "medium", "large", "xl"]
Ladder = Literal["full", "mini"]
SIZES: tuple[Size, ...] = ("tiny", "small", "medium", "large", "xl")
LADDERS: tuple[Ladder, ...] = ("full", "mini")

Parametrization = Literal["standard", "mup"]
Schedule = Literal["cosine", "wsd", "constant"]

TrackingMode = Literal["auto", "online", "local", "offline", "disabled"]

# A name that may become a folder or a W&B identifier on every system.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
# The same, with values of the run to be filled in: "{size}-lr{learning_rate}".
NamePattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9{][A-Za-z0-9._{}-]{0,99}$")]
DEFAULT_NAME = "{ladder}-{size}-seed{seed}"
# What is no name for a run: devices of Windows, whatever their ending, and what a folder of runs holds besides them.
_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9])(\..*)?", re.IGNORECASE)
_TAKEN = ("local-wandb", "scaling_study")


class Section(BaseModel):
    """A group of fields: immutable, with no room for a key it doesn't know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ModelConfig(Section):
    """Architecture of a decoder-only transformer: what makes one size differ from another, and nothing else."""

    d_model: int = Field(ge=8, le=65_536, description="Width of the residual stream.")
    n_layers: int = Field(ge=1, le=1_000, description="Transformer blocks, each attention then MLP.")
    n_heads: int = Field(ge=1, le=1_024, description="Attention heads in a block.")
    d_ff: int = Field(ge=8, le=1_048_576, description="Width inside the MLP.")
    head_dim: int | None = Field(
        default=None,
        ge=2,
        le=1_024,
        description="Width of one attention head, even (rotary). Absent: d_model / n_heads, which must then be whole.",
    )

    @property
    def head_width(self) -> int:
        """Width of one attention head, given or derived."""
        return self.head_dim if self.head_dim is not None else self.d_model // self.n_heads

    @property
    def attention_width(self) -> int:
        """All heads side by side: n_heads x head width. Differs from d_model where head_dim is given (xl)."""
        return self.n_heads * self.head_width

    @model_validator(mode="after")
    def _heads_fit(self) -> "ModelConfig":
        if self.head_dim is None and self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads: {self.n_heads} does not divide d_model {self.d_model}; "
                f"give head_dim ({_usual_head_dim(self.d_model, self.n_heads)}, say){_nearby_heads(self)}"
            )
        if self.head_width % 2:
            name = "head_dim" if self.head_dim is not None else "n_heads"
            raise ValueError(
                f"{name}: a head of width {self.head_width} is odd, and rotary positions turn pairs; "
                "give an even head_dim"
            )
        return self


def _usual_head_dim(d_model: int, n_heads: int) -> int:
    """The multiple of 32 (or of 2, for small models) nearest to an even share of d_model."""
    step = 32 if d_model // n_heads >= 32 else 2
    return max(step, round(d_model / n_heads / step) * step)


def _nearby_heads(model: ModelConfig) -> str:
    """The numbers of heads nearest to the one given that divide d_model, as ", or 8 or 16 heads"; may be none."""
    divisors = [n for n in range(1, model.d_model + 1) if model.d_model % n == 0 and (model.d_model // n) % 2 == 0]
    below = [n for n in divisors if n < model.n_heads][-1:]
    above = [n for n in divisors if n > model.n_heads][:1]
    nearby = " or ".join(str(n) for n in below + above)
    return f", or {nearby} heads" if nearby else ""


class DataConfig(Section):
    """Which tokens are read, and how long a stretch of them the model sees at once."""

    dir: Path | None = Field(
        default=None,
        description="Folder with train/val[/test] splits in the guide's JSON or JSONL layout. Absent: "
        "data/processed/tokenized where that exists, else the default corpus (music21's core) in data/music21-core.",
    )
    sequence_length: int = Field(
        ge=8, le=131_072, description="Longest stretch of one document that attention spans, in tokens."
    )
    vocab_size: int | None = Field(
        default=None,
        ge=2,
        le=2**31,
        description="Number of token ids. Absent: from meta.json, else the largest id + 1.",
    )
    bos_id: int | None = Field(
        default=None, ge=0, lt=2**31, description="Id that opens a document. Absent: from meta.json."
    )
    eos_id: int | None = Field(
        default=None, ge=0, lt=2**31, description="Id that ends a document. Absent: from meta.json."
    )

    @model_validator(mode="after")
    def _ids_fit(self) -> "DataConfig":
        for name in ("bos_id", "eos_id"):
            token_id = getattr(self, name)
            if token_id is not None and self.vocab_size is None:
                raise ValueError(f"{name}: {token_id} means nothing without vocab_size; give both")
            if token_id is not None and self.vocab_size is not None and token_id >= self.vocab_size:
                raise ValueError(
                    f"{name}: {token_id} is not below vocab_size {self.vocab_size}; "
                    f"give an id from 0 to {self.vocab_size - 1}"
                )
        if self.bos_id is not None and self.bos_id == self.eos_id:
            raise ValueError(
                f"eos_id: {self.eos_id} is also bos_id, and an end must differ from a beginning; give two different ids"
            )
        return self


class RecipeConfig(Section):
    """What is held constant over a ladder, so that only size differs between its runs."""

    batch_size_tokens: int = Field(
        ge=8,
        le=2**31,
        description="Tokens in one optimizer step, reached by gradient accumulation. A fact of the experiment.",
    )
    tokens: int | None = Field(
        default=None,
        ge=8,
        le=10**15,
        description="Training tokens in all, repeats counted. Absent: epochs x the training split.",
    )
    epochs: float = Field(
        default=1.0, gt=0, le=1_000, description="Passes over the training split, where tokens is absent."
    )
    learning_rate: float = Field(gt=0, le=1, description="Peak learning rate of AdamW.")
    warmup_fraction: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the run over which the learning rate rises to its peak."
    )
    parametrization: Parametrization = Field(
        default="standard",
        description="How learning rate and initial weights go with d_model: standard leaves the rate alone, mup scales "
        "both so that the best rate of the ladder's tiny serves every width.",
    )
    schedule: Schedule = Field(
        default="cosine",
        description="How the learning rate goes after its warmup: cosine falls over all the rest, wsd (warmup, stable, "
        "decay) stays at the peak and falls at the end, constant stays.",
    )
    decay_fraction: float = Field(
        default=0.2, gt=0, le=1, description="Share of a wsd run, its end, over which the learning rate falls."
    )
    final_learning_rate_fraction: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Where the fall of cosine or wsd ends, at the run's own last step, as a share of the peak.",
    )
    weight_decay: float = Field(
        default=0.01, ge=0, le=1, description="Decoupled weight decay of AdamW, on matrices only."
    )
    beta1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's decay of the gradient's running mean.")
    beta2: float = Field(default=0.95, ge=0, lt=1, description="AdamW's decay of the squared gradient's running mean.")
    grad_clip: float = Field(
        default=1.0, gt=0, le=1e6, description="Largest gradient norm; a longer gradient is scaled down to it."
    )
    evaluations: int = Field(
        default=10,
        ge=1,
        le=10_000,
        description="Evaluations on the whole validation split, evenly spread; the last is at the end.",
    )

    @model_validator(mode="after")
    def _at_least_one_step(self) -> "RecipeConfig":
        if self.tokens is not None and self.tokens < self.batch_size_tokens:
            raise ValueError(
                f"tokens: {self.tokens:,} is less than one batch of {self.batch_size_tokens:,} (batch_size_tokens), "
                "so there is no step; give more tokens or a smaller batch"
            )
        return self

    @model_validator(mode="after")
    def _warmup_ends_before_decay(self) -> "RecipeConfig":
        if self.schedule == "wsd" and self.warmup_fraction + self.decay_fraction > 1:
            raise ValueError(
                f"decay_fraction: {self.decay_fraction:g} and a warmup_fraction of {self.warmup_fraction:g} are more "
                "than the whole run; make one of them smaller"
            )
        return self


class MachineConfig(Section):
    """Facts about the machine at hand. Nothing here may change a loss beyond rounding."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where to train; auto takes a GPU if there is one."
    )
    precision: Literal["auto", "bf16", "fp32"] = Field(
        default="auto",
        description="Arithmetic of matrix products; auto takes bf16 where the processor has it. Cross-entropy is fp32.",
    )
    threads: int | None = Field(default=None, ge=1, le=1_024, description="CPU threads of a run. Absent: all cores.")
    micro_batch_tokens: int | None = Field(
        default=None,
        ge=8,
        le=2**31,
        description="Tokens in one forward pass. Absent: found from the size and the memory.",
    )
    compile: bool = Field(
        default=True, description="Whether a GPU's blocks are compiled, some seconds once a shape; a CPU's never are."
    )
    shard: bool = Field(
        default=False,
        description="Whether processes of torchrun each keep a part of the model (FSDP2) instead of the whole; without "
        "effect in a single one.",
    )
    checkpoint_every_seconds: float = Field(
        default=120.0,
        ge=0,
        le=86_400,
        description="Longest time between two checkpoints, seconds. Zero: after every step.",
    )


class TrackingConfig(Section):
    """Where metrics go besides the run's own journal."""

    mode: TrackingMode = Field(
        default="auto",
        description="online: to W&B; local: to a server of our own that needs no account; offline: kept on disk for "
        "`wandb sync`; auto: online where an API key for W&B's address is at hand, else local.",
    )
    store: Path | None = Field(
        default=None, description="Folder of the local server's store. Absent: local-wandb in the output folder."
    )
    project: Name = Field(default="music-scaling", description="W&B project.")
    entity: Name | None = Field(default=None, description="W&B team or user; absent, the key's own.")
    group: Name | None = Field(
        default=None, description="W&B group; absent, named after ladder and dataset fingerprint."
    )
    tags: tuple[Annotated[str, Field(min_length=1, max_length=64)], ...] = Field(
        default=(), max_length=20, description="More W&B tags, besides size, ladder and data fingerprint."
    )
    log_dataset_text: bool = Field(
        default=False,
        description="Whether the dataset's artifact holds the music itself, besides its card, meta and tokenizer.",
    )


class RunConfig(Section):
    """One training run, resolved: nothing is left open but what only the data or the machine can say."""

    ladder: Ladder = Field(
        default="full", description="Which presets the size is taken from: full (the guide's) or mini."
    )
    size: Size = Field(description="One rung of the ladder.")
    seed: int = Field(default=0, ge=0, lt=2**31, description="Fixes initial weights and the order of documents.")
    output_dir: Path = Field(default=Path("outputs"), description="Folder under which each run has its own.")
    name: NamePattern | None = Field(
        default=None,
        description="The run's folder and W&B name, where {ladder}, {size}, {seed}, {learning_rate} and "
        "{batch_size_tokens} are filled in; absent, as in mini-tiny-seed0.",
    )
    model: ModelConfig
    data: DataConfig
    recipe: RecipeConfig
    machine: MachineConfig = MachineConfig()
    tracking: TrackingConfig = TrackingConfig()

    @model_validator(mode="after")
    def _name_can_be_filled(self) -> "RunConfig":
        if {"{", "}"} & set(self.run_name):
            places = ", ".join(f"{{{place}}}" for place in self._places)
            raise ValueError(f"name: {self.name!r} can't be filled in; in braces there may be {places}")
        return self

    @model_validator(mode="after")
    def _name_is_free(self) -> "RunConfig":
        if _DEVICES.fullmatch(self.run_name) or self.run_name.endswith("."):
            raise ValueError(f"name: {self.run_name!r} cannot name a folder everywhere; give another, run-1 say")
        if self.run_name.lower() in _TAKEN:
            raise ValueError(f"name: {self.run_name!r} is the name of another folder beside runs; give another")
        return self

    @property
    def run_name(self) -> str:
        """The name given, filled in, or one that tells runs of a study apart."""
        places = self._places
        return re.sub(r"\{(\w+)\}", lambda found: places.get(found[1], found[0]), self.name or DEFAULT_NAME)

    @property
    def _places(self) -> dict[str, str]:
        """What may be filled in in a name."""
        return {
            "ladder": self.ladder,
            "size": self.size,
            "seed": str(self.seed),
            "learning_rate": f"{self.recipe.learning_rate:g}",
            "batch_size_tokens": str(self.recipe.batch_size_tokens),
        }

    @property
    def run_dir(self) -> Path:
        """Folder of everything this run writes."""
        return self.output_dir / self.run_name

    @property
    def tracking_store(self) -> Path:
        """Folder that the local server keeps its runs in."""
        return self.tracking.store or self.output_dir / "local-wandb"
