"""Music in, packed tokens out.

    sources ─> clusters ─> splits ─> tokenizer ─> guide_format ─> packing ─> dataset
    └───────────────── prepare ──────────────┘   └─ a user's own data come in here ─┘

`scaling_lab.data.dataset.open_dataset` is the one door for everything that reads tokens.
"""
