"""What makes two commands the same run: everything that could change a loss, and nothing that couldn't."""

from typing import Any

from scaling_lab.config.schema import RecipeConfig, RunConfig


def run_identity(config: RunConfig, data_fingerprint: str, precision: str) -> dict[str, Any]:
    """Flat and JSON-ready. A run may only go on, or count as done, where all of it agrees.

    Micro-batch, threads, folders and tracking are left out: they change no loss beyond rounding.
    """
    sections = {"model": config.model, "recipe": config.recipe}
    identity: dict[str, Any] = {
        f"{section}.{field}": value
        for section, values in sections.items()
        for field, value in values.model_dump().items()
    }
    return identity | {
        "ladder": config.ladder,
        "size": config.size,
        "seed": config.seed,
        "data.sequence_length": config.data.sequence_length,
        "data.fingerprint": data_fingerprint,
        "machine.precision": precision,
    }


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Fields of two identities that disagree, each as a phrase for people."""
    before = completed(before)
    return [
        f"{key} was {_word(before.get(key))} and is now {_word(now.get(key))}"
        for key in dict.fromkeys((*before, *now))
        if before.get(key) != now.get(key)
    ]


def completed(identity: dict[str, Any]) -> dict[str, Any]:
    """The identity of a run of any version, with what an earlier one did not write down."""
    return _NEW_FIELDS | identity


# Fields that a run of an earlier version doesn't name: it was trained with what is the default now.
_NEW_FIELDS = {
    f"recipe.{name}": RecipeConfig.model_fields[name].default
    for name in ("parametrization", "schedule", "decay_fraction")
}


def _word(value: Any) -> str:
    return "absent" if value is None else repr(value)
