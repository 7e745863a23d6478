"""The allocator of a process that trains: tcmalloc or mimalloc where one is at hand, instead of glibc's.

glibc's gives the large blocks of every micro-batch back to the system and takes them anew, page by page. Which one a
process has is settled as it starts, by LD_PRELOAD; so a command that trains starts itself again before it loads torch.
"""

import os
import signal
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from scaling_lab.stopping import SIGNALS

_PRELOAD = "LD_PRELOAD"
_FAST = ("tcmalloc", "mimalloc", "jemalloc")


def restart_with_fast_allocator() -> None:
    """Become this same command with a fast allocator, if there is one; LD_PRELOAD, even an empty one, is respected."""
    if not sys.platform.startswith("linux") or _PRELOAD in os.environ:
        return
    library = fast_allocator()
    if library is None:
        return
    os.environ[_PRELOAD] = str(library)
    # Else tcmalloc writes a line to stderr for each tensor beyond a gigabyte.
    os.environ.setdefault("TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD", str(2**62))
    # A signal that comes meanwhile waits until the new program listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        os.execv(sys.executable, sys.orig_argv)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def fast_allocator() -> Path | None:
    """The library at hand that is faster than glibc's allocator."""
    return _tcmalloc() or _mimalloc()


def allocator_in_use() -> str:
    """What this process allocates with: tcmalloc, mimalloc, jemalloc or system."""
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "system"
    return next((name for name in _FAST if f"lib{name}" in mapped), "system")


def _tcmalloc() -> Path | None:
    """The system's, as the package libtcmalloc-minimal4 or gperftools installs it."""
    folders = (f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib64", "/usr/local/lib")
    names = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
    libraries = (Path(folder, name) for folder in folders for name in names)
    return next((library for library in libraries if library.exists()), None)


def _mimalloc() -> Path | None:
    """The one that `pip install 'scaling-lab[fast]'` brings."""
    try:
        library = Path(str(distribution("cmeel-mimalloc").locate_file("cmeel.prefix/lib/libmimalloc.so")))
    except PackageNotFoundError:
        return None
    return library if library.exists() else None
