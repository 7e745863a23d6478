"""Music in, packed tokens out.

    sources ─> conversion ─> preparation ( tokenization ) ─> packing ─> dataset ─> batches
                                                             └─ a user's own tokens come in here

`scaling_lab.data.configured.open_configured` is the one door for everything that reads tokens by a run's configuration.
"""
