"""Writes a RunConfig as the YAML that reads back as the same RunConfig: a run's own config.yaml."""

from collections.abc import Sequence
from pathlib import Path, PosixPath, WindowsPath
from typing import Any

import yaml

from scaling_lab.config.schema import RunConfig
from scaling_lab.config.yaml_reader import read_scalar
from scaling_lab.version import __version__


def dump_yaml(config: RunConfig) -> str:
    """The whole configuration as YAML, defaults written out, in the order of the schema.

    `load_config` on the result gives an equal RunConfig, whatever presets and defaults say by then.
    """
    heading = f"# One run, resolved by scaling-lab {__version__}. `scaling-lab train --config` of this file repeats it."
    return f"{heading}\n{_as_yaml(config.model_dump())}"


def dump_common(configs: Sequence[RunConfig]) -> str:
    """What several runs share, as YAML: with `--size` and `--seed` of one of them it gives that RunConfig again.

    Keys that differ are those of its size's preset, which are found again by its name.
    """
    dumps = [config.model_dump(exclude={"size", "seed"}) for config in configs]
    shared = _shared(dumps)
    heading = (
        f"# What the runs of a study share, resolved by scaling-lab {__version__}; `--size` and `--seed` name one."
    )
    return f"{heading}\n{_as_yaml(shared)}"


def _shared(dumps: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first, *others = dumps
    shared: dict[str, Any] = {}
    for key, value in first.items():
        if isinstance(value, dict):
            shared[key] = _shared([dump[key] for dump in dumps])
        elif all(other[key] == value for other in others):
            shared[key] = value
    return shared


def _as_yaml(content: dict[str, Any]) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


class _Dumper(yaml.SafeDumper):
    """Quotes each word that our reader would take for something else; PyYAML's own idea is another (`1e3`, `off`)."""

    def ignore_aliases(self, data: Any) -> bool:
        """Writes equal values out: the reader takes no aliases."""
        return True


def _word(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = isinstance(read_scalar(text), str) and text.isascii() and text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


def _folder(dumper: yaml.SafeDumper, path: Path) -> yaml.ScalarNode:
    # A name that begins with a tilde would be read as somebody's home.
    return _word(dumper, f"./{path}" if str(path).startswith("~") else str(path))


_Dumper.add_representer(str, _word)
_Dumper.add_representer(PosixPath, _folder)
_Dumper.add_representer(WindowsPath, _folder)
