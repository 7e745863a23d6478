"""The version, in one place. `scaling-lab --version` prints it; every run writes it into its results."""

__version__ = "0.1.0"
