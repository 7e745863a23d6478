"""scaling-lab: how does validation loss fall as a transformer of symbolic music grows, and how sure are we?

What a notebook needs is here by name, and imported when it is first used:

    from scaling_lab import load_config, train, read_runs, pull, analyse, build_report, fit_power_law
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scaling_lab.version import __version__

if TYPE_CHECKING:
    from scaling_lab.config import load_config
    from scaling_lab.history.runs import read_runs
    from scaling_lab.history.tables import pull
    from scaling_lab.laws import fit_power_law
    from scaling_lab.report import build_report
    from scaling_lab.studies.analysis import analyse
    from scaling_lab.training.loop import train

_HOMES = {
    "load_config": "scaling_lab.config",
    "train": "scaling_lab.training.loop",
    "read_runs": "scaling_lab.history.runs",
    "pull": "scaling_lab.history.tables",
    "analyse": "scaling_lab.studies.analysis",
    "fit_power_law": "scaling_lab.laws",
    "build_report": "scaling_lab.report",
}

__all__ = ["__version__", "analyse", "build_report", "fit_power_law", "load_config", "pull", "read_runs", "train"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: `import scaling_lab` alone costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'scaling_lab' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
