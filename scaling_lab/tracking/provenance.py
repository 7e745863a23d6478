"""Where a result comes from: versions of what made it, and the commit of this code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from scaling_lab.version import __version__

PACKAGES = ("torch", "numpy", "scipy", "wandb", "pydantic")
# In the order in which they are told.
VERSIONED = ("scaling-lab", "python", *PACKAGES)


def versions() -> dict[str, str]:
    """Versions of scaling-lab, Python and the packages that can change a number."""
    found = {"scaling-lab": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def git_commit() -> str | None:
    """Commit that this package is checked out at, "+changes" after it where files differ; None outside a checkout."""
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / ".git").exists():
        return None
    try:
        commit = _git(checkout, "rev-parse", "HEAD")
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
