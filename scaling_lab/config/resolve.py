"""Makes one RunConfig out of every source, and says of each value where it came from.

`scaling-lab config show` prints the result. Stronger sources go before weaker ones, key by key:

    command line  >  environment  >  file  >  preset (the ladder's recipe, the size)  >  default
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scaling_lab.config import faults
from scaling_lab.config.fields import FIELDS, SECTIONS, Unfit
from scaling_lab.config.schema import SIZES, RunConfig
from scaling_lab.config.settings import (
    Override,
    Setting,
    from_environment,
    from_file,
    from_overrides,
    from_presets,
)
from scaling_lab.config.yaml_reader import MAX_FAULTS
from scaling_lab.errors import ConfigError


@dataclass(frozen=True)
class ResolvedConfig:
    """A run's configuration, and where each of its values came from.

    Attributes:
        config: The whole of it, validated.
        sources: One entry for every field by dotted key, such as "recipe.learning_rate" -> "command line
            --learning-rate", "run.yaml:4:3", "environment WANDB_PROJECT", "preset full/xl.yaml:3" or "default".
    """

    config: RunConfig
    sources: dict[str, str]


def resolve_config(
    path: Path | str | None = None,
    *,
    size: str | None = None,
    ladder: str | None = None,
    overrides: Sequence[Override | str] = (),
    environ: Mapping[str, str] | None = None,
) -> ResolvedConfig:
    """Resolves a run's configuration from all sources.

    Args:
        path: A YAML file with any of `ladder:`, `size:`, `seed:` … and the sections. Relative folders in it are
            relative to the working directory.
        size: One of SIZES; goes before the file and the environment.
        ladder: One of LADDERS; likewise.
        overrides: `Override`s, or strings "section.key=value"; they go before everything, the last one first of all.
        environ: Environment variables; the process's own if absent.

    Raises:
        ConfigError: anything is wrong; one line for each fault, with its place, field, problem and fix.
    """
    named = {"size": size, "ladder": ladder}
    arguments = [Override(key, value, f"argument {key}") for key, value in named.items() if value is not None]
    settings = [
        *(from_file(Path(path)) if path is not None else ()),
        *from_environment(os.environ if environ is None else environ),
        *from_overrides([*arguments, *overrides]),
    ]
    lines = [faults.unknown_key(setting) for setting in settings if setting.key not in FIELDS]
    winners = {setting.key: setting for setting in settings if setting.key in FIELDS}
    winners |= {setting.key: setting for setting in _presets_for(winners) if setting.key not in winners}
    if "size" not in winners:
        lines.append(f"{path or 'command line'}: size: is missing; give --size with one of {', '.join(SIZES)}")
    values, unfit = _fit_all(winners)
    lines += unfit
    lines += [*faults.idle_epochs(winners, values), *faults.idle_choices(settings, winners)]
    config = _validated(values, winners, lines)
    return ResolvedConfig(config, {key: winners[key].place if key in winners else "default" for key in FIELDS})


def load_config(
    path: Path | str | None = None,
    *,
    size: str | None = None,
    ladder: str | None = None,
    overrides: Sequence[Override | str] = (),
    environ: Mapping[str, str] | None = None,
) -> RunConfig:
    """`resolve_config` without the sources. Same arguments, same ConfigError."""
    return resolve_config(path, size=size, ladder=ladder, overrides=overrides, environ=environ).config


def _presets_for(winners: Mapping[str, Setting]) -> tuple[Setting, ...]:
    """The presets of the ladder and size that were asked for; none if that isn't known (reported elsewhere)."""
    try:
        ladder = winners["ladder"].fitted() if "ladder" in winners else RunConfig.model_fields["ladder"].default
        return from_presets(str(ladder), str(winners["size"].fitted()))
    except (KeyError, Unfit):
        return ()


def _fit_all(winners: Mapping[str, Setting]) -> tuple[dict[str, object], list[str]]:
    """The value of every key in its field's own type, and a line for each that has none."""
    values: dict[str, object] = {}
    lines: list[str] = []
    for key, setting in winners.items():
        try:
            values[key] = setting.fitted()
        except Unfit as problem:
            lines.append(faults.misfit(setting, str(problem)))
    return values, lines


def _validated(values: Mapping[str, object], winners: Mapping[str, Setting], lines: list[str]) -> RunConfig:
    """Lets pydantic check the bounds of what fits, so that all faults are reported at once."""
    nested: dict[str, Any] = {section: {} for section in SECTIONS}
    for key, value in values.items():
        section, _, name = key.rpartition(".")
        (nested[section] if section else nested)[name] = value
    try:
        config = RunConfig.model_validate(nested)
    except ValidationError as error:
        lines = lines + faults.from_pydantic(error, winners, only_bounds=bool(lines))
    else:
        if not lines:
            return config
    more = [f"… and {len(lines) - MAX_FAULTS} more"] if len(lines) > MAX_FAULTS else []
    raise ConfigError("\n".join(lines[:MAX_FAULTS] + more)) from None
