"""Several lengths of one run from one trunk: `scaling-lab train --size tiny --branch-at 0.25,0.5,1`.

A warmup-stable-decay run is the same up to its decay, however long it is to become. So the runs of several token
budgets D are trained in order of length, and each begins where its predecessor's decay began: with its weights, its
optimizer and its rows. All of them together cost one run of the longest D and the decays of the others, and each is, to
the last bit, the run that would have been trained alone (Hägele et al., 2405.18392, section 4).
"""

from collections.abc import Sequence

from scaling_lab.config.schema import RunConfig
from scaling_lab.data.dataset import Dataset
from scaling_lab.errors import UsageError
from scaling_lab.tracking.journal import JOURNAL_NAME, read_journal, write_journal
from scaling_lab.tracking.metrics import TRAIN_LOSS, TRAIN_STEP
from scaling_lab.training.checkpoint import load_newest_checkpoint, save_checkpoint
from scaling_lab.training.plan import plan_run
from scaling_lab.training.run_folder import RunFolder
from scaling_lab.training.schedule import decay_begin, warmup_end


def read_fractions(text: str) -> list[float]:
    """`0.25,0.5,1` as ascending shares of the run. Raises UsageError."""
    try:
        fractions = sorted({float(part) for part in text.split(",")})
    except ValueError:
        fractions = []
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise UsageError(
            f"command line --branch-at: {text!r} are not shares of the run; give some from above 0 to 1: 0.25,0.5,1"
        )
    return fractions


def branches_of(config: RunConfig, dataset: Dataset, fractions: Sequence[float]) -> list[RunConfig]:
    """The runs that a wsd run branches into, the shortest first, with budgets and names of their own.

    Raises:
        UsageError: if one is too short to have a step, or its decay would begin within the warmup.
    """
    whole = plan_run(config, dataset)
    warmup_steps = warmup_end(whole.n_steps, config.recipe)
    branches = []
    for fraction in fractions:
        n_steps = int(fraction * whole.n_steps)
        if n_steps == 0 or decay_begin(n_steps, config.recipe) < warmup_steps:
            raise UsageError(
                f"command line --branch-at: {fraction:g} of {whole.n_steps:,} steps are {n_steps:,}, and the warmup "
                f"alone takes {warmup_steps:,}; give a larger share, or a smaller recipe.warmup_fraction"
            )
        recipe = config.recipe.model_copy(
            update={"tokens": n_steps * config.recipe.batch_size_tokens, "warmup_fraction": warmup_steps / n_steps}
        )
        branches.append(config.model_copy(update={"recipe": recipe, "name": f"{config.run_name}-at{fraction:g}"}))
    return branches


def begin_from(trunk: RunConfig, branch: RunConfig) -> bool:
    """Put a run that was not begun yet where the decay of a shorter one began; False where there is nothing to take.

    Raises:
        CheckpointError: if the branch is being trained, or the trunk's checkpoint is damaged.
    """
    state = load_newest_checkpoint(RunFolder(trunk.run_dir).trunk)
    with RunFolder(branch.run_dir) as folder:
        if state is None or folder.results() is not None or load_newest_checkpoint(folder.checkpoints) is not None:
            return False
        step = state["progress"]["step"]
        rows = [row for row in read_journal(trunk.run_dir / JOURNAL_NAME) if row[TRAIN_STEP] <= step]
        # Evaluations are the branch's own: it spreads them over another length.
        write_journal(folder.path / JOURNAL_NAME, [row for row in rows if TRAIN_LOSS in row])
        state["progress"] |= {"best_val_loss": float("inf"), "best_step": 0, "evaluated_step": 0}
        save_checkpoint(folder.checkpoints, step, state)
    return True
