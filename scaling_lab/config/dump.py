"""Writes a RunConfig as the YAML that reads back as the same RunConfig: a run's own config.yaml."""

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
    body = yaml.dump(config.model_dump(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)
    heading = f"# One run, resolved by scaling-lab {__version__}. `scaling-lab train --config` of this file repeats it."
    return f"{heading}\n{body}"


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
