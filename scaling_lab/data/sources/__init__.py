"""Where music comes from: files of a user's own, or of a collection that an installed package brings along.

    folders   files under given folders, each with its format
    music21   two collections of the package music21
    licences  what may not be trained on

Nothing is read or converted here; a `Source` only says which files there are, and on which terms.
"""
