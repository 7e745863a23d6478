"""MusicXML to ABC, by xml2abc."""

from scaling_lab.data.conversion import tools
from scaling_lab.music.abc import RejectedTune


def abc_of_musicxml(path: str) -> str:
    """The ABC of a MusicXML file (.musicxml, .xml or .mxl). Raises `RejectedTune` where it can't be read."""
    command = tools.xml2abc()
    assert command is not None, "tools.require was not called"
    text = tools.output_of((*command, path))
    if not text:  # it says what it stumbled over, and ends as if nothing were
        raise RejectedTune("its converter failed")
    return text
