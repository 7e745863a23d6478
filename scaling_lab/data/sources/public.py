"""Collections under a free licence that can be fetched by their public address.

An archive of a Git repository is packed anew by whoever serves it, so a digest of its bytes holds for no time. What is
checked is the content: the id of its Git tree, which names every file with its name, mode and bytes.
"""

from dataclasses import dataclass

DESCRIPTION_FILE = "source.json"


@dataclass(frozen=True)
class PublicSource:
    """A collection that is fetched.

    Attributes:
        name: what it is called on the command line, and the folder it is written to.
        address: of a .tar.gz of a Git repository at one commit, all in one folder.
        tree: id (SHA-1) of the Git tree in it.
        endings: how the names of the files that are kept end.
        licence: terms of the music.
        about: what it is, in a line.
    """

    name: str
    address: str
    tree: str
    endings: tuple[str, ...]
    licence: str
    about: str


_CC0 = "CC0 1.0 (public domain)"
_ARCHIVE = "https://codeload.github.com/{repository}/tar.gz/{commit}"

PUBLIC = {
    source.name: source
    for source in (
        PublicSource(
            "openscore-quartets",
            _ARCHIVE.format(repository="OpenScore/StringQuartets", commit="2c723a5b7b4ea5420826116dfa912956c6a022c2"),
            "cefdc02e362daa172ec68267c7eaaec4e530a23d",
            (".mxl",),
            _CC0,
            "OpenScore String Quartets: movements of the 18th to 20th century, MusicXML",
        ),
        PublicSource(
            "openscore-lieder",
            _ARCHIVE.format(repository="OpenScore/Lieder", commit="bca122458de6da362abe62dd6aec62e25d7759b1"),
            "2abf2ff0db57cfb95a55bbd9d9559897de143f7f",
            (".mxl",),
            _CC0,
            "OpenScore Lieder: songs of the 19th century for voice and piano, MusicXML",
        ),
    )
}
