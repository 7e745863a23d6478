"""What the `scaling_lab` fixture gives: a command line that ends in a value instead of ending the process."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


CommandLine = Callable[..., Ended]
