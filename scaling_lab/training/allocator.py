"""The allocator of a process that trains keeps the memory it has: tcmalloc where the system has it, or glibc's told to.

glibc's by itself gives the large blocks of every micro-batch back to the system and takes them anew, page by page. How
a process allocates is settled as it starts, by its environment; so a command that trains starts itself again before it
loads torch.
"""

import os
import signal
import sys
import sysconfig
from pathlib import Path

from scaling_lab.stopping import SIGNALS

_PRELOAD, _TUNABLES = "LD_PRELOAD", "GLIBC_TUNABLES"
# Every block from the heap, none of the heap given back, and the heap in huge pages (from glibc 2.35 on).
_GLIBC_KEEPS = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=4611686018427387904:glibc.malloc.hugetlb=1"
_TCMALLOC_KEEPS = {
    "TCMALLOC_RELEASE_RATE": "0",
    # Else it writes a line to stderr for each tensor beyond a gigabyte.
    "TCMALLOC_LARGE_ALLOC_REPORT_THRESHOLD": str(2**62),
}
_KNOWN = ("tcmalloc", "mimalloc", "jemalloc")


def restart_with_fast_allocator() -> None:
    """Become this same command with an allocator that keeps its memory, unless the user has chosen how to allocate.

    LD_PRELOAD, even an empty one, and GLIBC_TUNABLES are such a choice.
    """
    if not sys.platform.startswith("linux") or {_PRELOAD, _TUNABLES} & os.environ.keys():
        return
    for name, value in fast_allocation().items():
        os.environ.setdefault(name, value)
    # A signal that comes meanwhile waits until the new program listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        os.execv(sys.executable, sys.orig_argv)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def fast_allocation() -> dict[str, str]:
    """What a process must have in its environment as it starts, to keep its memory."""
    tcmalloc = _tcmalloc()
    return {_PRELOAD: str(tcmalloc)} | _TCMALLOC_KEEPS if tcmalloc else {_TUNABLES: _GLIBC_KEEPS}


def allocator_in_use() -> str:
    """What this process allocates with: tcmalloc, mimalloc, jemalloc, glibc as above, or what the system does."""
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "system"
    preloaded = next((name for name in _KNOWN if f"lib{name}" in mapped), None)
    return preloaded or ("glibc, kept" if os.environ.get(_TUNABLES) == _GLIBC_KEEPS else "system")


def _tcmalloc() -> Path | None:
    """The system's, as the package libtcmalloc-minimal4 or gperftools installs it."""
    folders = (f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}", "/usr/lib64", "/usr/local/lib")
    names = ("libtcmalloc_minimal.so.4", "libtcmalloc.so.4")
    libraries = (Path(folder, name) for folder in folders for name in names)
    return next((library for library in libraries if library.exists()), None)
