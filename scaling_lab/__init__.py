"""scaling-lab: how does validation loss fall as a transformer of symbolic music grows, and how sure are we?"""

from scaling_lab.version import __version__

__all__ = ["__version__"]
