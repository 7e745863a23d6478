"""Music in, packed tokens out.

    sources ─> conversion ─> preparation ( tokenization ) ─> guide_format ─> packing ─> dataset ─> batches
                                                             └─ a user's own tokens come in here ─┘

    packing: json_stream, digits ─> guide_format ─> spool ─> duplicates ─> arrays

`scaling_lab.data.configured.open_configured` is the one door for everything that reads tokens by a run's configuration.
"""
