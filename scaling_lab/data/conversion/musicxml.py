"""MusicXML to ABC, by xml2abc."""

from scaling_lab.data.conversion import tools


def abc_of_musicxml(path: str) -> str:
    """The ABC of a MusicXML file (.musicxml, .xml or .mxl). Raises `RejectedTune` where it can't be read."""
    command = tools.xml2abc()
    assert command is not None, "tools.require was not called"
    return tools.output_of((*command, path))
