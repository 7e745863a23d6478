"""Where values come from: files, presets, the environment, the command line. Each is a list of settings with places.

A setting is one value for one dotted key, with the words that say where it stands. Ranks order the sources: of two
settings for one key, the higher rank wins.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

from scaling_lab.config.fields import SECTIONS, fit, fit_text
from scaling_lab.config.yaml_reader import KeyPath, YamlDocument, read_yaml
from scaling_lab.errors import ConfigError

PRESETS = Path(__file__).parent / "presets"

ENVIRONMENT_PREFIX = "SCALING_LAB_"
# Switches of the program itself, no part of what a run is.
NOT_A_SETTING = frozenset({"SCALING_LAB_DEBUG"})

WANDB_VARIABLES = {
    "WANDB_MODE": "tracking.mode",
    "WANDB_PROJECT": "tracking.project",
    "WANDB_ENTITY": "tracking.entity",
    "WANDB_RUN_GROUP": "tracking.group",
}


class Rank(IntEnum):
    """Sources, weakest first."""

    PRESET = 1
    FILE = 2
    ENVIRONMENT = 3
    COMMAND_LINE = 4


@dataclass(frozen=True)
class Setting:
    """One value for one key, as written: `value` is text if `is_text`, else a plain YAML or Python value."""

    key: str
    value: object
    place: str
    rank: Rank
    is_text: bool = False

    def fitted(self) -> object:
        """The value in the field's own type. Raises Unfit."""
        if self.is_text:
            return fit_text(self.key, str(self.value))
        return fit(self.key, self.value)


@dataclass(frozen=True)
class Override:
    """One value that goes before every other source: an option of a command, or an argument from Python.

    Attributes:
        key: Dotted: "recipe.learning_rate".
        value: A string is read as YAML reads a word (`3e-4` is a number); anything else is taken as it is.
        place: How messages and `config show` name it: "command line --learning-rate".
    """

    key: str
    value: object
    place: str

    @classmethod
    def parse(cls, assignment: str, place: str = "override") -> "Override":
        """From `section.key=value`.

        Raises:
            ConfigError: there is no `=`.
        """
        key, equals, value = assignment.partition("=")
        key = key.strip().replace("-", "_")
        if not equals:
            raise ConfigError(f"{place} {assignment}: {key or 'key'}: has no value; write {key or 'section.key'}=value")
        return cls(key, value, f"{place} {key}")


def from_overrides(overrides: Iterable[Override | str]) -> list[Setting]:
    """Settings of the highest rank, in order: of two for one key, the later wins.

    Raises:
        ConfigError: a string isn't `section.key=value`.
    """
    parsed = [Override.parse(item) if isinstance(item, str) else item for item in overrides]
    return [Setting(o.key, o.value, o.place, Rank.COMMAND_LINE, is_text=isinstance(o.value, str)) for o in parsed]


def from_environment(environ: Mapping[str, str]) -> list[Setting]:
    """WANDB_* as the wandb SDK has them, then SCALING_LAB_<SECTION>__<KEY>, which wins. An empty one is unset."""
    found: dict[str, str] = {name: key for name, key in WANDB_VARIABLES.items() if environ.get(name)}
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in NOT_A_SETTING and environ[name]:
            found[name] = name.removeprefix(ENVIRONMENT_PREFIX).lower().replace("__", ".")
    return [
        Setting(key, _wandb_alias(name, environ[name]), f"environment {name}", Rank.ENVIRONMENT, is_text=True)
        for name, key in found.items()
    ]


def from_file(path: Path) -> list[Setting]:
    """What a configuration file says, each with `file:line:column`.

    Raises:
        ConfigError: the file can't be read as plain YAML.
    """
    document = read_yaml(path)
    return [Setting(key, value, document.place(where), Rank.FILE) for key, value, where in _flat(document)]


@lru_cache(maxsize=32)
def from_presets(ladder: str, size: str) -> tuple[Setting, ...]:
    """What the package says of one size of one ladder: the ladder's recipe and the size's own file."""
    settings: list[Setting] = []
    for stem in ("recipe", size):
        name = f"preset {ladder}/{stem}.yaml"
        document = read_yaml(PRESETS / ladder / f"{stem}.yaml", name)
        for key, value, where in _flat(document):
            line, _ = document.positions[where]
            settings.append(Setting(key, value, f"{name}:{line}", Rank.PRESET))
    return tuple(settings)


def _flat(document: YamlDocument) -> Iterator[tuple[str, object, KeyPath]]:
    """Dotted key, value and path of every entry. A section left empty has none; one that is a value is an entry."""
    for name, value in document.values.items():
        if name in SECTIONS and isinstance(value, dict):
            for inner, inner_value in value.items():
                yield f"{name}.{_one_part(inner)}", inner_value, (name, inner)
        elif name not in SECTIONS or value is not None:
            yield _one_part(name), value, (name,)


def _one_part(key: str) -> str:
    """A key as one part of a dotted key: one with dots of its own is quoted, so that it can't pass for a nested one."""
    return key if key.isidentifier() else repr(key)


def _wandb_alias(name: str, value: str) -> str:
    """`dryrun` is what wandb called offline before, and still takes."""
    return "offline" if (name, value) == ("WANDB_MODE", "dryrun") else value
