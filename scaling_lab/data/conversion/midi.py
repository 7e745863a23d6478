"""MIDI to ABC, by midi2abc."""

from scaling_lab.data.conversion import tools


def abc_of_midi(path: str) -> str:
    """The ABC of a MIDI file. Raises `RejectedTune` where it can't be read, or was played rather than written."""
    command = tools.midi2abc()
    assert command is not None, "tools.require was not called"
    text = tools.output_of((*command, "-noly", "-f", path))
    # It says what it does in a first line, and leaks the file's path into the title.
    lines = text.splitlines()
    begin = next((place for place, line in enumerate(lines) if line.startswith("X:")), len(lines))
    return "\n".join(line for line in lines[begin:] if not line.startswith("T:")) + "\n"
