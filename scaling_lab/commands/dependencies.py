"""What scaling-lab stands on, looked at before a command works: a package that is missing or too old is named at once.

An old release would fail hours later, and in words of its own. One that is newer than was tried is let be.
"""

import re
from importlib.metadata import PackageNotFoundError, requires, version

from scaling_lab.errors import UsageError

PACKAGE = "scaling-lab"
# `wandb<0.32,>=0.28; marker`: the name, the versions, what it is wanted for.
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[[^]]*\])?\s*(?P<versions>[^;]*)(;(?P<marker>.*))?")


def require_dependencies() -> None:
    """Refuse to begin where a package is missing or too old. Raises UsageError, with the command that mends it.

    In a checkout that was never installed nothing says what is needed; there a missing import is told when it happens.
    """
    try:
        wanted = requires(PACKAGE) or []
    except PackageNotFoundError:
        return
    faults, mends = [], []
    for requirement in wanted:
        found = _REQUIREMENT.match(requirement)
        if found is None or found["marker"]:  # an extra: told by whatever has a use for it
            continue
        if fault := _fault(found["name"], found["versions"]):
            faults.append(fault)
            mends.append(f"'{found['name']}{found['versions'].strip()}'")
    if faults:
        raise UsageError(f"{'; '.join(faults)}: run `pip install {' '.join(mends)}`")


def missing_import(error: ModuleNotFoundError) -> UsageError | None:
    """The words for an import that failed, unless it is one of our own modules that is not there."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "scaling_lab"):
        return None
    what = "is not installed" if package == error.name else f"lacks {error.name}"
    return UsageError(f"{package} {what}: run `pip install {PACKAGE}`, or `make install` in a checkout")


def _fault(name: str, versions: str) -> str | None:
    try:
        installed = version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    oldest = re.search(r">=\s*([\d.]+)", versions)
    if oldest is None or _numbers(installed) >= _numbers(oldest[1]):
        return None
    return f"{name} {installed} is too old, {oldest[1]} is needed"


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers that a version begins with, without zeros at its end: 2.10.0+cpu is (2, 10)."""
    begin = re.match(r"\d+(\.\d+)*", text)
    numbers = [int(part) for part in begin[0].split(".")] if begin else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
