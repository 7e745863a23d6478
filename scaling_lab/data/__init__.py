"""Music in, packed tokens out.

    sources ─> clusters ─> splits ─> tokenizer ─> guide_format ─> packing ─> dataset
    └───────────────── prepare ──────────────┘   └─ a user's own data come in here ─┘

    packing: json_stream, digits ─> guide_format ─> spool ─> duplicates ─> arrays

`scaling_lab.data.dataset.open_dataset` is the one door for everything that reads tokens.
"""
