"""Any format to canonical ABC.

    source ─> items ─> pool ( work: midi, musicxml, canonical text, melody ) ─> converted

Each tune becomes one outcome: its canonical text, or the reason why there is none. What other programs are needed for
is looked for before any work is done (`tools`).
"""
