"""Metric names: the only place that spells them. docs/metrics.md lists them for readers."""

TRAIN_STEP = "train/step"  # optimizer steps done, from 1
TRAIN_TOKENS = "train/tokens"  # training tokens read so far, repeats counted; the default x axis
TRAIN_FLOPS = "train/flops"  # training FLOPs so far, attention and output head counted
TRAIN_LOSS = "train/loss"  # nats a token, of the step's batch before its update
GRAD_NORM = "train/grad_norm"  # L2 norm of the gradient before clipping
LEARNING_RATE = "train/learning_rate"
TOKENS_PER_SECOND = "perf/tokens_per_second"
STEP_SECONDS = "perf/step_seconds"
MFU = "perf/mfu"  # training FLOPs a second over the machine's matmul ceiling
VAL_LOSS = "val/loss"  # nats a token, whole validation split
BITS_PER_CHARACTER = "val/bits_per_character"  # of the texts
BITS_PER_BYTE = "val/bits_per_byte"  # of the same in UTF-8
BITS_PER_NOTE = "val/bits_per_note"  # grace notes and each note of a chord counted

TRAINING_METRICS = (
    TRAIN_STEP,
    TRAIN_TOKENS,
    TRAIN_FLOPS,
    TRAIN_LOSS,
    GRAD_NORM,
    LEARNING_RATE,
    TOKENS_PER_SECOND,
    STEP_SECONDS,
    MFU,
)
EVALUATION_METRICS = (
    TRAIN_STEP,
    TRAIN_TOKENS,
    TRAIN_FLOPS,
    VAL_LOSS,
    BITS_PER_CHARACTER,
    BITS_PER_BYTE,
    BITS_PER_NOTE,
)
# What a clock says, and so the only numbers that differ between two runs of one seed.
TIMED_METRICS = (TOKENS_PER_SECOND, STEP_SECONDS, MFU)
